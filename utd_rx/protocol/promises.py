"""What a command that the engine said yes to has promised, and how it shows.

Nothing here is optimistic: a command is done when the state *shows* what it promised. The state
may also show that it was so and is no more, or a `GET` asked for after the yes may say so: then
it was taken back, and the command raises instead of waiting for its time-out. What it may end with:

| verdict | |
| --- | --- |
| shown | the state shows all of it: the command returns |
| left | the join of then is over, whatever there is now: it raises |
| taken back | the grid bore it out and does so no more, or the engine says that it does not: it raises |
| pending | none of these yet |
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from attrs import evolve, frozen

from utd_rx.models.participant import TrackSource
from utd_rx.models.seats import UTDSeat, UTDSeatGrid
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.roster import is_as_muted


@frozen
class Promise:
    """What a command brings about.

    Args:
        what: For messages.
        shows: Whether the state shows all of it.
        holds: Whether a grid bears it out as far as grids go.
    """

    what: str
    shows: Callable[[AudioRoomState], bool]
    holds: Callable[[UTDSeatGrid], bool]


class Verdict(Enum):
    """What a state says about a promise; see the module's table."""

    PENDING = "pending"
    SHOWN = "shown"
    LEFT = "left"
    TAKEN_BACK = "taken back"


@frozen
class Wait:
    """One command's wait.

    Args:
        promise: For what.
        epoch: Of the join in which the engine was asked.
        has_held: Whether a grid has borne the promise out.
    """

    promise: Promise
    epoch: int
    has_held: bool = False

    def judge(self, state: AudioRoomState) -> tuple[Wait, Verdict]:
        """Return the wait after `state` was seen, and what it says."""
        connection = state.session.connection
        if connection.epoch != self.epoch or not connection.is_joined:
            return self, Verdict.LEFT
        if self.promise.shows(state):
            return self, Verdict.SHOWN
        holds = self.promise.holds(state.seats.grid)
        if self.has_held and not holds:
            return self, Verdict.TAKEN_BACK
        return evolve(self, has_held=holds), Verdict.PENDING


def sitting(identity: str, index: int | None) -> Promise:
    """`identity`, who is this client, sits on seat `index`, None for any, and may publish."""

    def holds(grid: UTDSeatGrid) -> bool:
        seat = grid.seat_of(identity)
        return seat is not None and index in (None, seat.index)

    return Promise(
        "the grant of the seat",
        lambda state: holds(state.seats.grid) and state.session.microphone.is_granted,
        holds,
    )


def standing(identity: str) -> Promise:
    """`identity`, who is this client, has no seat and publishes nothing."""

    def holds(grid: UTDSeatGrid) -> bool:
        return grid.seat_of(identity) is None

    return Promise(
        "the end of the seat",
        lambda state: holds(state.seats.grid) and state.session.microphone.track is None,
        holds,
    )


def locked(index: int, is_locked: bool) -> Promise:
    """Seat `index` is locked, and so nobody's; or it is open."""

    def holds(grid: UTDSeatGrid) -> bool:
        seat = _seat(grid, index)
        return seat is not None and seat.is_locked is is_locked

    return _in_the_grid(f"the {'lock' if is_locked else 'opening'} of seat {index}", holds)


def vacated(index: int, occupant: str | None) -> Promise:
    """`occupant` does not sit on seat `index`; None when it was free."""

    def holds(grid: UTDSeatGrid) -> bool:
        seat = _seat(grid, index)
        return occupant is None or seat is None or seat.identity != occupant

    return _in_the_grid(f"the end of {occupant!r} on seat {index}", holds)


def muted(identity: str, is_muted: bool) -> Promise:
    """The microphone of `identity` is muted or not; who publishes none is both."""

    def shows(state: AudioRoomState) -> bool:
        return is_as_muted(state.session.roster, identity, TrackSource.MICROPHONE, is_muted)

    return Promise(f"the {'mute' if is_muted else 'unmute'} of {identity!r}", shows, lambda _: True)


def asking(identity: str, request_id: int | None) -> Promise:
    """The request of `identity` is pending, or was answered with a seat."""

    def holds(grid: UTDSeatGrid) -> bool:
        asked = grid.request_of(identity)
        is_pending = asked is not None and request_id in (None, asked.id)
        return is_pending or grid.seat_of(identity) is not None

    return _in_the_grid("the request to speak", holds)


def silent(identity: str) -> Promise:
    """`identity` has no request pending."""
    return _in_the_grid(
        "the end of the request to speak", lambda grid: grid.request_of(identity) is None
    )


def answered(request_id: int) -> Promise:
    """The request is not pending any more."""
    return _in_the_grid(
        f"the answer to request {request_id}", lambda grid: not grid.is_pending(request_id)
    )


def _in_the_grid(what: str, holds: Callable[[UTDSeatGrid], bool]) -> Promise:
    return Promise(what, lambda state: holds(state.seats.grid), holds)


def _seat(grid: UTDSeatGrid, index: int) -> UTDSeat | None:
    return grid.seats[index] if 0 <= index < grid.count else None
