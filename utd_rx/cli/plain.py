"""Values of the SDK as a reader takes them in, and as a machine does."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from enum import Enum

from utd_rx.models.chat import ChatMessage
from utd_rx.models.participant import RemoteParticipant, TrackSource
from utd_rx.models.seats import Invitation, SpeakRequest, UTDSeat, UTDSeatGrid
from utd_rx.models.secrets import foreign_text
from utd_rx.models.stage import StageRequest, UTDStageMember
from utd_rx.models.value import to_json


def plain(value: object) -> object:
    """Return a value of a stream as JSON can hold it and a reader can take it in."""
    match value:
        case Enum():
            return value.value
        case UTDSeat():
            return value.index
        case UTDSeatGrid():
            return [seat.identity for seat in value.seats]
        case UTDStageMember() | StageRequest() | SpeakRequest():
            return value.identity
        case Invitation():
            return value.inviter
        case RemoteParticipant():
            camera = value.track(TrackSource.CAMERA)
            shows = ["is seen"] if camera is not None and not camera.is_muted else []
            speaks = ["speaks"] if value.is_microphone_enabled else []
            return f"{value.identity} {' and '.join(shows + speaks) or 'listens'}"
        case tuple():
            return [plain(entry) for entry in value]
        case Mapping():
            return [f"{key} {plain(entry)}" for key, entry in value.items()]
        case Exception():
            return str(value)
        case _:
            return value


def line_of(name: str, value: object) -> str:
    """Return a stream's value as one line that any terminal may print."""
    told = plain(value)
    if isinstance(told, list):
        told = ", ".join("·" if one is None else str(one) for one in told)
    return foreign_text(f"{name}: {'-' if told is None or told == '' else told}")


def chat_line(message: ChatMessage) -> str:
    """Return a chat message as one line that any terminal may print."""
    return f"{foreign_text(message.sender or '?')}: {foreign_text(message.text)}"


def json_line(**fields: object) -> str:
    """Return fields as a line of JSON: whole values as `to_json` writes them, no credential."""
    # What the locale cannot spell is escaped: else the last line of a command might fail.
    is_unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    line = json.dumps(fields, default=to_json, ensure_ascii=not is_unicode)
    # What a terminal obeys or UTF-8 cannot say stands only within strings, where it can be escaped.
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in line)
