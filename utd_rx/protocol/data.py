"""Data messages and room metadata of the engine, decoded into facts
(docs/contract.md, "Data messages").

The engine's messages are JSON objects whose `type` starts with `_`, without a sender. One that has
a sender is a participant's forgery. One that has none is not proven either: LiveKit names no sender
for a participant it does not know yet, for about 3 s after a join. So a message of the engine is a
hint, and what it speaks of is read where only the engine can write: room metadata, or its REST
interface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar

from attrs import frozen

from utd_rx.models.ban import UTDBanNotice
from utd_rx.models.events import (
    DataReceived,
    Reconnected,
    RoomEvent,
    RoomMetadataChanged,
    RoomMoved,
)
from utd_rx.models.seats import Invitation, InvitationAnswer
from utd_rx.protocol.facts import people, seats, stage
from utd_rx.protocol.facts.connection import JoinSucceeded
from utd_rx.protocol.roles import ROLES
from utd_rx.protocol.wire.moderation import (
    IDENTITY_KEYS,
    comment_lock_from_wire,
    role_change_from_wire,
)
from utd_rx.protocol.wire.reading import Json, parse_object, read_int, read_object, read_text
from utd_rx.protocol.wire.seats import grid_from_wire, grid_to_push, invitation_from_wire
from utd_rx.protocol.wire.speakers import request_id_from_push
from utd_rx.protocol.wire.stage import (
    STAGE_KEY,
    stage_from_wire,
    stage_in_metadata,
    stage_request_from_wire,
    stage_to_wire,
)

SEATS_KEY: Final = "_seats"
"""The key of the grid in room metadata."""

LIVE_ENDED: Final = "_live_ended"
"""The one type that a participant may send, too: the host."""

MAX_ENGINE_MESSAGE: Final = 65_535
"""Bytes; the SFU's read buffer is no larger (docs/livekit.md, "Sizes")."""

T = TypeVar("T")
Read: TypeAlias = Callable[[Json], object]


@frozen
class Decoder:
    """Reads one type of message, and says what of it a redacted recording keeps.

    Attributes:
        read: Returns the hint in it, None when it holds none.
        words: Its fields that are the engine's own words: kept.
        texts: Those that somebody wrote: marks stand for them.
        write: Writes the hint, where it is more than such fields.
    """

    read: Read
    words: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    write: Callable[[Any], dict[str, object]] | None = None


@frozen
class RoomKey(Generic[T]):
    """A key of room metadata that the rules `read`; a redacted recording keeps what they found."""

    name: str
    read: Callable[[str], T | None]
    write: Callable[[T], object]


def _hints(hint: Callable[[T], object], read: Callable[[Json], T | None]) -> Read:
    """Return the reader of messages in which `read` finds, or does not, what `hint` is about."""

    def decode(wire: Json) -> object:
        told = read(wire)
        return None if told is None else hint(told)

    return decode


def _mode_change(wire: Json) -> object:
    return seats.ModeHinted(read_text(wire.get("mode_id")), read_int(wire.get("seat_count")))


def _queue(is_pending: bool) -> Decoder:
    read = _hints(lambda id_: seats.QueueHinted(id_, is_pending), request_id_from_push)
    return Decoder(read, ("request_id", "id", "identity", "seat_index"))


def _invitation(hint: Callable[[Invitation], object]) -> Decoder:
    words = ("invitation_id", "inviter_identity", "target_identity", "seat_index")
    return Decoder(_hints(hint, invitation_from_wire), words)


def _answer(is_accepted: bool) -> Decoder:
    return _invitation(
        lambda told: seats.InvitationAnswerHinted(InvitationAnswer(told, is_accepted))
    )


def _hand(is_up: bool) -> Decoder:
    read = _hints(lambda asked: stage.HandHinted(asked.identity, is_up), stage_request_from_wire)
    return Decoder(read, ("identity", "name", "created_at"))


def _banned(wire: Json) -> object:
    told = {key: read_text(wire.get(key)) for key in ("room_name", "reason", "expires_at")}
    return people.BanHinted(read_text(wire.get("identity")), UTDBanNotice(**told))


SEATS: Final[Mapping[str, Decoder]] = {
    "_seat_update": Decoder(
        _hints(seats.SeatGridHinted, grid_from_wire), write=lambda hint: grid_to_push(hint.grid)
    ),
    "_mode_change": Decoder(_mode_change, ("mode_id", "seat_count")),
    "_speaker_request": _queue(True),
    "_speaker_request_approved": _queue(False),
    "_speaker_request_rejected": _queue(False),
    "_speaker_invitation": _invitation(seats.InvitationHinted),
    "_speaker_invitation_accepted": _answer(True),
    "_speaker_invitation_declined": _answer(False),
}
STAGE: Final[Mapping[str, Decoder]] = {
    "_stage_update": Decoder(
        _hints(stage.StageHinted, stage_from_wire), write=lambda hint: stage_to_wire(hint.stage)
    ),
    "_stage_request": _hand(True),
    "_stage_request_closed": _hand(False),
    LIVE_ENDED: Decoder(lambda _: stage.LiveEndHinted()),
}
PEOPLE: Final[Mapping[str, Decoder]] = {
    "_role_change": Decoder(
        _hints(
            lambda told: people.RoleHinted(told.identity, ROLES.get(told.role)),
            role_change_from_wire,
        ),
        (*IDENTITY_KEYS, "role"),
    ),
    "_comment_lock": Decoder(_hints(people.LockHinted, comment_lock_from_wire), ("locked",)),
    "_banned": Decoder(_banned, ("identity", "room_name", "expires_at"), ("reason",)),
}
"""The engine's message types, by noun, that say something this client would not learn otherwise,
or late. The row of a kind of session names those that it listens to."""

RESERVED_TYPES: Final = frozenset({*SEATS, *STAGE, *PEOPLE})
"""What no app may send (docs/contract.md, "Data messages")."""

ENGINE_TYPES: Final = RESERVED_TYPES - {LIVE_ENDED}
"""What only the engine may send."""


def decode(event: DataReceived, decoders: Mapping[str, Decoder]) -> object | None:
    """Return what a message without a sender hints at, None for any other message."""
    if event.sender is not None or len(event.payload) > MAX_ENGINE_MESSAGE:
        return None
    wire = parse_object(event.payload)
    if wire is None:
        return None
    decoder = decoders.get(read_text(wire.get("type")) or "")
    return None if decoder is None else decoder.read(wire)


def invitation_answer(event: RoomEvent, inviter: str) -> InvitationAnswer | None:
    """Return what `event` says became of an offer of `inviter`, None when it says nothing of it."""
    match decode(event, SEATS) if isinstance(event, DataReceived) else None:
        case seats.InvitationAnswerHinted(answer) if answer.invitation.inviter == inviter:
            return answer
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


def metadata_in(fact: object) -> str | None:
    """Return the room metadata that `fact` brings, None when it brings none."""
    match fact:
        case RoomMetadataChanged(metadata=metadata):
            return metadata
        case (
            JoinSucceeded(snapshot=snapshot)
            | Reconnected(snapshot=snapshot)
            | RoomMoved(snapshot=snapshot)
        ):
            return snapshot.metadata
    return None


def seats_in_metadata(metadata: str) -> seats.SeatGridReceived | None:
    """Return the grid that room metadata carries under `_seats`, None when it carries none."""
    wire = parse_object(metadata) if metadata else None
    grid = read_object((wire or {}).get(SEATS_KEY))
    return seats.SeatGridReceived(grid_from_wire(grid)) if grid else None


SEATS_IN_ROOM: Final = RoomKey(SEATS_KEY, seats_in_metadata, lambda told: grid_to_push(told.grid))


def stage_in_room(metadata: str) -> stage.StageReceived | None:
    """Return the stage that room metadata carries under `_stage`, None when it carries none."""
    wire = parse_object(metadata) if STAGE_KEY in metadata else None
    told = stage_in_metadata(wire or {})
    return None if told is None else stage.StageReceived(told)


STAGE_IN_ROOM: Final = RoomKey(STAGE_KEY, stage_in_room, lambda told: stage_to_wire(told.stage))
