"""Commands as values, so that a test can draw, print and match them; each calls its rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeAlias

from attrs import astuple, frozen

from utd_rx.engine.rules import room_state, seat_state, speakers
from utd_rx.engine.rules.effects import Effects
from utd_rx.engine.rules.roles import Actor
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.rules.seat_state import Changed, Reply, SeatState


@frozen
class _Ask:
    rule: ClassVar[Callable[..., Changed]]

    def __call__(self, seats: SeatState, actor: Actor, now: float) -> Changed:
        return type(self).rule(seats, actor, now, *astuple(self, recurse=False))


@frozen
class SetUpSeats(seat_state.SetUpSeats):
    def __call__(self, seats: SeatState, actor: Actor, now: float) -> Changed:
        return seat_state.set_up(seats, actor, now, self)


@frozen
class TakeSeat(_Ask):
    rule = seat_state.take
    index: int


@frozen
class LeaveSeat(_Ask):
    rule = seat_state.leave


@frozen
class MoveSeat(_Ask):
    rule = seat_state.move
    target: int


@frozen
class KickSeat(_Ask):
    rule = seat_state.kick
    index: int


@frozen
class LockSeat(_Ask):
    rule = seat_state.lock
    index: int


@frozen
class UnlockSeat(_Ask):
    rule = seat_state.unlock
    index: int


@frozen
class MuteSeat(_Ask):
    rule = seat_state.mute
    index: int
    is_muted: bool


@frozen
class RequestSeat(_Ask):
    rule = speakers.request
    created_at: str


@frozen
class CancelRequest(_Ask):
    rule = speakers.cancel


@frozen
class ApproveRequest(_Ask):
    rule = speakers.approve
    id: int


@frozen
class RejectRequest(_Ask):
    rule = speakers.reject
    id: int


@frozen
class Invite(_Ask):
    rule = speakers.invite
    target: str
    seat_index: int | None = None


@frozen
class AcceptInvitation(_Ask):
    rule = speakers.accept
    id: int


@frozen
class DeclineInvitation(_Ask):
    rule = speakers.decline
    id: int


SeatCommand: TypeAlias = (
    SetUpSeats | TakeSeat | LeaveSeat | MoveSeat | KickSeat | LockSeat | UnlockSeat | MuteSeat
)
SpeakerCommand: TypeAlias = (
    RequestSeat
    | CancelRequest
    | ApproveRequest
    | RejectRequest
    | Invite
    | AcceptInvitation
    | DeclineInvitation
)


def command(
    seats: SeatState, actor: Actor, item: SeatCommand, now: float
) -> tuple[SeatState, Effects]:
    """Carry out what answers with the grid."""
    found, effects, _ = seat_state.command(seats, actor, now, item)
    return found, effects


def command_seats(
    room: RoomState, actor: Actor, item: SeatCommand, now: float
) -> tuple[RoomState, Effects]:
    found, effects, _ = room_state.command_seats(room, actor, now, item)
    return found, effects


def command_speakers(
    room: RoomState, actor: Actor, item: SpeakerCommand, now: float
) -> tuple[RoomState, Effects, Reply]:
    return room_state.command_seats(room, actor, now, item)
