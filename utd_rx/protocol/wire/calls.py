"""Calls on the wire: replies, webhooks, signal frames and room metadata spell them alike
(docs/contract.md, "Calls").
"""

from __future__ import annotations

import re
from typing import Final

from attrs import evolve

from utd_rx.models.app_json import frozen_json, plain_json
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.reading import Json, read_number, read_object, read_text, without_none

TYPES: Final = {
    "audio_call": UTDStreamType.AUDIO_CALL,
    "video_call": UTDStreamType.VIDEO_CALL,
    "voice": UTDStreamType.AUDIO_CALL,
    "video": UTDStreamType.VIDEO_CALL,
}
"""Both generations' spellings of a call's type."""

METADATA_KEY: Final = "_call"
"""Where a call room's metadata holds the call."""

REASON_OF: Final = {
    UTDCallStatus.REJECTED: UTDCallEndReason.REJECTED,
    UTDCallStatus.BUSY: UTDCallEndReason.BUSY,
    UTDCallStatus.MISSED: UTDCallEndReason.RING_TIMEOUT,
}
"""What a status alone says of the reason; one that is only ended has another."""

MAX_IDENTITY: Final = 256
"""Bytes of an identity."""

MAX_NAME: Final = 256
"""Characters of a display name; the rest is cut off."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_STATUSES: Final = {status.value: status for status in UTDCallStatus}
_LOCAL: Final = (UTDCallEndReason.ANSWERED_ELSEWHERE, UTDCallEndReason.LOST)
_REASONS: Final = {why.value: why for why in UTDCallEndReason if why not in _LOCAL}


def call_id_from_wire(wire: Json) -> str | None:
    """Read a call's id, which is also the name of its room; None without."""
    call_id = read_text(wire.get("call_id"))
    return call_id if call_id is not None and _ID.fullmatch(call_id) else None


def call_from_wire(wire: Json) -> UTDCall | None:
    """Read a call; None without an id and a status, or with an identity that is too long.

    A type that is missing is an audio call's.
    """
    call_id, status = call_id_from_wire(wire), _STATUSES.get(read_text(wire.get("status")) or "")
    people = [read_text(wire.get(f"{who}_identity")) for who in ("caller", "callee")]
    is_long = any(len((who or "").encode(errors="replace")) > MAX_IDENTITY for who in people)
    if call_id is None or status is None or is_long:
        return None
    seconds = read_number(wire.get("duration_seconds"))
    return UTDCall(
        call_id,
        status,
        TYPES.get(read_text(wire.get("type")) or "", UTDStreamType.AUDIO_CALL),
        room_name=call_id,
        token=read_text(wire.get("token")),
        url=read_text(wire.get("url")),
        caller_identity=people[0],
        callee_identity=people[1],
        caller_name=_read_name(wire.get("caller_name")),
        callee_name=_read_name(wire.get("callee_name")),
        metadata=FrozenMap(
            (str(key), frozen_json(one)) for key, one in read_object(wire.get("metadata")).items()
        ),
        created_at=read_text(wire.get("created_at")),
        answered_by=read_text(wire.get("answered_by")),
        duration_seconds=None if seconds is None else max(0.0, seconds),
        end_reason=_read_reason(wire, status) if status.is_terminal else None,
    )


def _read_reason(wire: Json, status: UTDCallStatus) -> UTDCallEndReason:
    """Read why a call is over; a reason that contradicts the status is none."""
    if status in REASON_OF:
        return REASON_OF[status]
    reason = _REASONS.get(read_text(wire.get("end_reason")) or "", UTDCallEndReason.UNKNOWN)
    return UTDCallEndReason.UNKNOWN if reason in REASON_OF.values() else reason


def _read_name(value: object) -> str | None:
    name = read_text(value)
    return None if name is None else name[:MAX_NAME]


def call_to_wire(call: UTDCall) -> dict[str, object]:
    """Write a call; what is None is left out, and so is empty metadata."""
    return without_none(
        call_id=call.call_id,
        status=call.status.value,
        type=call.type.value,
        room_name=call.room_name,
        token=call.token,
        url=call.url,
        caller_identity=call.caller_identity,
        callee_identity=call.callee_identity,
        caller_name=call.caller_name,
        callee_name=call.callee_name,
        metadata=plain_json(call.metadata) or None,
        created_at=call.created_at,
        answered_by=call.answered_by,
        duration_seconds=call.duration_seconds,
        end_reason=None if call.end_reason is None else call.end_reason.value,
    )


def without_credentials(call: UTDCall) -> UTDCall:
    """Return the call as anybody may keep it: state and recordings hold no tokens."""
    has_any = call.token is not None or call.url is not None
    return evolve(call, token=None, url=None) if has_any else call
