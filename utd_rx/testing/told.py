"""Values in few words, for pictures and messages of failing tests."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import singledispatch
from typing import Any, Final

import attrs

from utd_rx.errors import UTDStreamException
from utd_rx.models.call import UTDCall
from utd_rx.models.chat import ChatMessage
from utd_rx.models.participant import Participant, ParticipantPermission, TrackPublication
from utd_rx.models.seats import SpeakRequest, UTDSeat, UTDSeatGrid
from utd_rx.models.stage import StageRequest, UTDStageMember

MAX_WORDS: Final = 60
"""Characters of a value that are told."""


def told(value: object) -> str:
    """Return what a value is, in few words."""
    words = told_as(value)
    return words if len(words) <= MAX_WORDS else words[: MAX_WORDS - 1] + "…"


@singledispatch
def told_as(value: object) -> str:
    """Return what a value of this class is."""
    return _fields(value) if attrs.has(type(value)) else repr(value)


@told_as.register
def _(value: Enum) -> str:
    return value.name


@told_as.register(tuple)
def _(value: tuple[object, ...]) -> str:
    return f"({', '.join(map(told, value))})"


@told_as.register(Mapping)
def _(value: Mapping[object, object]) -> str:
    return f"{{{', '.join(f'{key}: {told(one)}' for key, one in value.items())}}}"


@told_as.register
def _(value: UTDStreamException) -> str:
    return value.code.name if value.reason is None else f"{value.code.name}, {value.reason.value}"


@told_as.register
def _(value: Participant) -> str:
    return "+".join((value.identity, *(track.source.name.lower() for track in value.tracks)))


@told_as.register
def _(value: TrackPublication) -> str:
    return f"{value.source.name.lower()}{' muted' if value.is_muted else ''}"


@told_as.register
def _(value: ParticipantPermission) -> str:
    return "may publish" if value.can_publish else "may not publish"


@told_as.register
def _(value: UTDSeat) -> str:
    return "locked" if value.is_locked else value.identity or "–"


@told_as.register
def _(value: UTDSeatGrid) -> str:
    asking = "".join(f", {one.identity} asks" for one in value.requests)
    return f"[{' '.join(map(told, value.seats))}]{asking}"


@told_as.register(SpeakRequest)
@told_as.register(StageRequest)
@told_as.register(UTDStageMember)
def _(value: Any) -> str:
    return str(value.identity)


@told_as.register
def _(value: ChatMessage) -> str:
    return f"{value.sender}: {value.text}"


@told_as.register
def _(value: UTDCall) -> str:
    why = "" if value.end_reason is None else f", {value.end_reason.name}"
    return f"{value.caller_identity} to {value.callee_identity} {value.status.name}{why}"


def _fields(value: Any) -> str:
    """Return the name of a value's class, and of its fields what is not as by default."""
    parts = [
        told(found)
        for field in attrs.fields(type(value))
        if field.repr and (found := getattr(value, field.name)) != field.default
    ]
    return f"{type(value).__name__}({', '.join(parts)})" if parts else type(value).__name__
