"""Data messages and room metadata of the engine, decoded into facts
(docs/contract.md, "Data messages").

The engine's messages are JSON objects whose `type` starts with `_`, and they have no sender. One
that has a sender is a participant's forgery and means nothing. One that has none is not proven
either: LiveKit names no sender for a participant it does not know yet, for about 3 s after a
join. So a message of the engine is a hint, and what it speaks of is read where only the engine
can write: room metadata, or its REST interface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.events import DataReceived, RoomEvent
from utd_rx.models.seats import InvitationAnswer
from utd_rx.protocol.facts.people import BanHinted, LockHinted, RoleHinted
from utd_rx.protocol.facts.seats import (
    InvitationAnswerHinted,
    InvitationHinted,
    ModeHinted,
    QueueHinted,
    SeatGridHinted,
    SeatGridReceived,
)
from utd_rx.protocol.roles import ROLES
from utd_rx.protocol.wire.moderation import comment_lock_from_wire, role_change_from_wire
from utd_rx.protocol.wire.reading import Json, parse_object, read_int, read_object, read_text
from utd_rx.protocol.wire.seats import grid_from_wire, invitation_from_wire
from utd_rx.protocol.wire.speakers import request_answer_from_push

MAX_ENGINE_MESSAGE: Final = 65_535
"""Bytes; the SFU's read buffer is no larger (docs/livekit.md, "Sizes")."""


Decoder: TypeAlias = Callable[[Json], object]
"""Reads one type of message; returns the hint in it, None when it holds none."""


def _seat_update(wire: Json) -> object:
    return SeatGridHinted(grid_from_wire(wire))


def _mode_change(wire: Json) -> object:
    return ModeHinted(read_text(wire.get("mode_id")), read_int(wire.get("seat_count")))


def _queue(is_pending: bool) -> Decoder:
    def decode(wire: Json) -> object:
        told = request_answer_from_push(wire)
        return None if told is None else QueueHinted(told.id, is_pending)

    return decode


def _invitation(wire: Json) -> object:
    invitation = invitation_from_wire(wire)
    return None if invitation is None else InvitationHinted(invitation)


def _invitation_answer(is_accepted: bool) -> Decoder:
    def decode(wire: Json) -> object:
        told = invitation_from_wire(wire)
        return None if told is None else InvitationAnswerHinted(InvitationAnswer(told, is_accepted))

    return decode


def _role_change(wire: Json) -> object:
    change = role_change_from_wire(wire)
    return None if change is None else RoleHinted(change.identity, ROLES.get(change.role))


def _comment_lock(wire: Json) -> object:
    is_locked = comment_lock_from_wire(wire)
    return None if is_locked is None else LockHinted(is_locked)


def _banned(wire: Json) -> object:
    notice = UTDBanNotice(
        room_name=read_text(wire.get("room_name")),
        reason=read_text(wire.get("reason")),
        expires_at=read_text(wire.get("expires_at")),
    )
    return BanHinted(read_text(wire.get("identity")), notice)


SEATS: Final[Mapping[str, Decoder]] = {
    "_seat_update": _seat_update,
    "_mode_change": _mode_change,
    "_speaker_request": _queue(True),
    "_speaker_request_approved": _queue(False),
    "_speaker_request_rejected": _queue(False),
    "_speaker_invitation": _invitation,
    "_speaker_invitation_accepted": _invitation_answer(True),
    "_speaker_invitation_declined": _invitation_answer(False),
}
PEOPLE: Final[Mapping[str, Decoder]] = {
    "_role_change": _role_change,
    "_comment_lock": _comment_lock,
    "_banned": _banned,
}
"""The engine's message types, by noun, that say something this client would not learn otherwise,
or late. The row of a kind of session names those that it listens to."""

ENGINE_TYPES: Final = frozenset({*SEATS, *PEOPLE, "_stage_update", "_stage_request"})
"""What only the engine may send (docs/contract.md, "Data messages"); `_live_ended` may come from
the host as well."""


def decode(event: DataReceived, decoders: Mapping[str, Decoder]) -> object | None:
    """Return what a message without a sender hints at, None for any other message."""
    if event.sender is not None or len(event.payload) > MAX_ENGINE_MESSAGE:
        return None
    wire = parse_object(event.payload)
    if wire is None:
        return None
    decoder = decoders.get(read_text(wire.get("type")) or "")
    return None if decoder is None else decoder(wire)


def invitation_answer(event: RoomEvent, inviter: str) -> InvitationAnswer | None:
    """Return what `event` says became of an offer of `inviter`, None when it says nothing of it."""
    if not isinstance(event, DataReceived):
        return None
    match decode(event, SEATS):
        case InvitationAnswerHinted(answer) if answer.invitation.inviter == inviter:
            return answer
        case _:
            return None


def is_forged(event: DataReceived) -> bool:
    """Whether a participant sent a message of a type that only the engine may send."""
    return event.sender is not None and type_of(event) in ENGINE_TYPES


def type_of(event: DataReceived) -> str:
    """Return the type that a message gives itself, "" when it is none of the engine's kind."""
    if not event.payload.lstrip().startswith(b"{"):
        return ""
    wire = parse_object(event.payload)
    return "" if wire is None else read_text(wire.get("type")) or ""


def seats_in_metadata(metadata: str) -> SeatGridReceived | None:
    """Return the grid that room metadata carries under `_seats`, None when it carries none."""
    wire = parse_object(metadata) if metadata else None
    seats = read_object((wire or {}).get("_seats"))
    return SeatGridReceived(grid_from_wire(seats)) if seats else None
