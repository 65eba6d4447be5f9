"""What commands are promised, and how it shows (`utd_rx.protocol.waiting`).

Each is a value: a wait for it is part of the state, and of a recording. Their methods are those of
`Promise`.
"""

from __future__ import annotations

from typing import ClassVar, Final

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.participant import TrackSource
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import UTDSeat, UTDSeatGrid
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts.media import PublishingWithdrawn
from utd_rx.protocol.facts.seats import (
    FetchSeats,
    SeatGridFetched,
    SeatsNotFetched,
    SpeakingForgone,
)
from utd_rx.protocol.publishing import SOURCES, outcome
from utd_rx.protocol.roster import is_as_muted
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.speakers import GRANT_TIMEOUT
from utd_rx.protocol.waiting import Promise, Waiting, taken_back

SWITCH_TIMEOUT: Final = 15.0
"""Seconds to wait for a track of one's own; LiveKit's own longest wait for one is 10 s."""

PUSH_TIMEOUT: Final = 2.0
"""Seconds to wait for the engine's push before asking it: a push behind a join may be lost."""

# --- of every session -----------------------------------------------------------------------


@frozen
class Published(Promise):
    """This client's `source` is on or off, as the app's word number `stated` says."""

    seconds: ClassVar[float] = SWITCH_TIMEOUT

    source: TrackSource
    enabled: bool
    stated: int

    @property
    def what(self) -> str:
        return f"the {SOURCES[self.source]}"

    def shows(self, state: Waiting) -> bool:
        return self._outcome(state) is True

    def failure(self, state: Waiting) -> UTDStreamException | None:
        session: SessionState = state.session
        if self.enabled and not session.connection.is_joined:
            return None  # left, which says more
        result = self._outcome(state)
        return result if isinstance(result, UTDStreamException) else None

    @property
    def survives_leaving(self) -> bool:
        return not self.enabled

    @property
    def withdrawal(self) -> PublishingWithdrawn | None:
        return PublishingWithdrawn(self.source, self.stated) if self.enabled else None

    def _outcome(self, state: Waiting) -> UTDStreamException | bool:
        publishing = state.session.publications.of(self.source)
        return outcome(publishing, self.source, enabled=self.enabled, stated=self.stated)


@frozen
class TrackIsMuted(Promise):
    """The tracks of `identity` from `sources` are muted or not; who has none is both."""

    identity: str
    sources: tuple[TrackSource, ...]
    is_muted: bool

    @property
    def what(self) -> str:
        return f"the {'mute' if self.is_muted else 'unmute'} of {self.identity!r}"

    def shows(self, state: Waiting) -> bool:
        roster = state.session.roster
        return all(is_as_muted(roster, self.identity, s, self.is_muted) for s in self.sources)


@frozen
class IsGone(Promise):
    """The connection `sid` of `identity` is over; a newer one of theirs may be there."""

    says: ClassVar[str] = "the departure of {identity!r}"

    identity: str
    sid: str | None

    def shows(self, state: Waiting) -> bool:
        who = state.session.roster.remotes.get(self.identity)
        return who is None or who.sid != self.sid


@frozen
class HasRole(Promise):
    """`identity` has this role."""

    says: ClassVar[str] = "the role of {identity!r}"

    identity: str
    role: UTDRole

    def shows(self, state: Waiting) -> bool:
        return state.session.roles.known.get(self.identity) is self.role


@frozen
class ChatIsLocked(Promise):
    """The chat is locked or not."""

    is_locked: bool

    @property
    def what(self) -> str:
        return f"the {'lock' if self.is_locked else 'opening'} of the chat"

    def shows(self, state: Waiting) -> bool:
        return state.session.chat.is_locked is self.is_locked


# --- of an audio room -----------------------------------------------------------------------


@frozen
class SeatsAreKnown(Promise):
    """The engine has told the grid in this join."""

    says: ClassVar[str] = "the seat grid"

    def shows(self, state: AudioRoomState) -> bool:
        return state.seats.is_known

    def failure(self, state: AudioRoomState) -> UTDStreamException | None:
        if not state.session.connection.is_joined:
            return state.session.connection.failure
        return None if state.seats.is_known else state.seats.failure


@frozen
class GridPromise(Promise):
    """Something that a grid bears out or not, so that the engine can be asked for it."""

    seconds: ClassVar[float] = GRANT_TIMEOUT
    asks_after: ClassVar[float | None] = PUSH_TIMEOUT

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        """Whether `grid` bears it out, as far as grids go."""
        raise NotImplementedError

    def shows(self, state: AudioRoomState) -> bool:
        return self.holds_in(state.seats.grid)

    def holds(self, state: AudioRoomState) -> bool:
        return self.holds_in(state.seats.grid)

    def question(self, state: AudioRoomState, wait_id: int) -> FetchSeats:
        return FetchSeats(state.seats.generation, state.seats.answers, wait_id)

    def denial(self, answer: object) -> UTDStreamException | None:
        match answer:
            case SeatGridFetched(grid=grid) if not self.holds_in(grid):
                return taken_back(self.what)
            case SeatsNotFetched(error=error):
                return error
            case _:
                return None


@frozen
class IsSitting(GridPromise):
    """`identity`, who is this client, sits on seat `index`, None for any, and may publish."""

    says: ClassVar[str] = "the grant of the seat"

    identity: str
    index: int | None

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        seat = grid.seat_of(self.identity)
        return seat is not None and self.index in (None, seat.index)

    def shows(self, state: AudioRoomState) -> bool:
        return self.holds(state) and state.session.microphone.is_granted


@frozen
class IsStanding(GridPromise):
    """`identity`, who is this client, has no seat and publishes nothing."""

    says: ClassVar[str] = "the end of the seat"

    identity: str

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        return grid.seat_of(self.identity) is None

    def shows(self, state: AudioRoomState) -> bool:
        return self.holds(state) and state.session.microphone.track is None


@frozen
class SeatIsLocked(GridPromise):
    """Seat `index` is locked, and so nobody's; or it is open."""

    index: int
    is_locked: bool

    @property
    def what(self) -> str:
        return f"the {'lock' if self.is_locked else 'opening'} of seat {self.index}"

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        seat = _seat(grid, self.index)
        return seat is not None and seat.is_locked is self.is_locked


@frozen
class SeatIsVacated(GridPromise):
    """`occupant` does not sit on seat `index`; None when it was free."""

    says: ClassVar[str] = "the end of {occupant!r} on seat {index}"

    index: int
    occupant: str | None

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        seat = _seat(grid, self.index)
        return self.occupant is None or seat is None or seat.identity != self.occupant


@frozen
class IsAsking(GridPromise):
    """The request of `identity` is pending, or was answered with a seat."""

    says: ClassVar[str] = "the request to speak"

    identity: str
    request_id: int | None

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        asked = grid.request_of(self.identity)
        is_pending = asked is not None and self.request_id in (None, asked.id)
        return is_pending or grid.seat_of(self.identity) is not None

    @property
    def withdrawal(self) -> SpeakingForgone | None:
        return None if self.request_id is None else SpeakingForgone(self.request_id)


@frozen
class IsSilent(GridPromise):
    """`identity` has no request pending."""

    says: ClassVar[str] = "the end of the request to speak"

    identity: str

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        return grid.request_of(self.identity) is None


@frozen
class IsAnswered(GridPromise):
    """The request is not pending any more."""

    says: ClassVar[str] = "the answer to request {request_id}"

    request_id: int

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        return not grid.is_pending(self.request_id)


def occupant_is_muted(grid: UTDSeatGrid, index: int, is_muted: bool) -> TrackIsMuted | None:
    """Return that whoever sits on seat `index` of `grid` is muted, None when nobody does.

    The copy may be a change behind: whom the engine muted, the grid in its reply tells.
    """
    occupant = grid.occupant_of(index)
    if occupant is None:
        return None
    return TrackIsMuted(occupant, (TrackSource.MICROPHONE,), is_muted)


def _seat(grid: UTDSeatGrid, index: int) -> UTDSeat | None:
    return grid.seats[index] if 0 <= index < grid.count else None


ANY_SESSION: Final = (Published, TrackIsMuted, IsGone, HasRole, ChatIsLocked)
SEATED: Final = (
    SeatsAreKnown,
    IsSitting,
    IsStanding,
    SeatIsLocked,
    SeatIsVacated,
    IsAsking,
    IsSilent,
    IsAnswered,
)
"""The promises of a kind of session: its row names them (`protocol.kinds`)."""
