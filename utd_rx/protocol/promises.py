"""What commands are promised, and how it shows (`utd_rx.protocol.waiting`).

Each is a value: a wait for it is part of the state, and of a recording.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.participant import TrackSource
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts import seats as facts
from utd_rx.protocol.facts.media import PublishingWithdrawn
from utd_rx.protocol.publishing import SOURCES, Publishing
from utd_rx.protocol.room_promises import IsDescribed, IsSubscribed
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

    seconds = SWITCH_TIMEOUT

    source: TrackSource
    enabled: bool
    stated: int

    @property
    def what(self) -> str:
        return f"the {SOURCES.get(self.source, 'track')}"

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
        """Return whether the word is so; or why it never will be."""
        publishing: Publishing = state.session.publications.of(self.source)
        name = SOURCES.get(self.source, "track")
        if not publishing.is_settled and publishing.is_wanted is self.enabled:
            return False
        if publishing.failure is not None:
            return publishing.failure
        if publishing.is_on is self.enabled:
            return True
        if self.enabled and publishing.stated == self.stated and not publishing.is_granted:
            message = f"the server took the permission to publish the {name}"
            return UTDStreamException(message, code=UTDErrorCode.FORBIDDEN)
        return conflict(ConflictReason.OVERTAKEN, f"a later switch of the {name} won")


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
        who = state.session.roster.find(self.identity)
        tracks = () if who is None else map(who.track, self.sources)
        return all(track is None or track.is_muted is self.is_muted for track in tracks)


@frozen
class IsGone(Promise):
    """The connection `sid` of `identity` is over; a newer one of theirs may be there."""

    says = "the departure of {identity!r}"

    identity: str
    sid: str | None

    def shows(self, state: Waiting) -> bool:
        who = state.session.roster.remotes.get(self.identity)
        return who is None or who.sid != self.sid


@frozen
class HasRole(Promise):
    says = "the role of {identity!r}"

    identity: str
    role: UTDRole

    def shows(self, state: Waiting) -> bool:
        return state.session.roles.known.get(self.identity) is self.role


@frozen
class ChatIsLocked(Promise):
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

    says = "the seat grid"

    def shows(self, state: AudioRoomState) -> bool:
        return state.seats.is_known

    def failure(self, state: AudioRoomState) -> UTDStreamException | None:
        if not state.session.connection.is_joined:
            return state.session.connection.failure
        return None if state.seats.is_known else state.seats.failure


@frozen
class GridPromise(Promise):
    """Something that a grid bears out or not, so that the engine can be asked for it."""

    seconds = GRANT_TIMEOUT
    asks_after = PUSH_TIMEOUT

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        """Whether `grid` bears it out, as far as grids go."""
        raise NotImplementedError

    def holds(self, state: AudioRoomState) -> bool:
        return self.holds_in(state.seats.grid)

    def shows(self, state: AudioRoomState) -> bool:
        return self.holds(state)

    def question(self, state: AudioRoomState, wait_id: int) -> facts.FetchSeats:
        return facts.FetchSeats(state.seats.generation, state.seats.answers, wait_id)

    def denial(self, answer: object) -> UTDStreamException | None:
        match answer:
            case facts.SeatGridFetched(grid=grid) if not self.holds_in(grid):
                return taken_back(self.what)
            case facts.SeatsNotFetched(error=error):
                return error
            case _:
                return None


@frozen
class IsSitting(GridPromise):
    """`identity`, who is this client, sits on seat `index`, None for any, and may publish."""

    says = "the grant of the seat"

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

    says = "the end of the seat"

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
        is_there = 0 <= self.index < grid.count
        return is_there and grid.seats[self.index].is_locked is self.is_locked


@frozen
class SeatIsVacated(GridPromise):
    """`occupant` does not sit on seat `index`; None when it was free."""

    says = "the end of {occupant!r} on seat {index}"

    index: int
    occupant: str | None

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        return self.occupant is None or grid.occupant_of(self.index) != self.occupant


@frozen
class IsAsking(GridPromise):
    """The request of `identity` is pending, or was answered with a seat."""

    says = "the request to speak"

    identity: str
    request_id: int | None

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        asked = grid.request_of(self.identity)
        is_pending = asked is not None and self.request_id in (None, asked.id)
        return is_pending or grid.seat_of(self.identity) is not None

    @property
    def withdrawal(self) -> facts.SpeakingForgone | None:
        return None if self.request_id is None else facts.SpeakingForgone(self.request_id)


@frozen
class IsSilent(GridPromise):
    """`identity` has no request pending."""

    says = "the end of the request to speak"

    identity: str

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        return grid.request_of(self.identity) is None


@frozen
class IsAnswered(GridPromise):
    says = "the answer to request {request_id}"

    request_id: int

    def holds_in(self, grid: UTDSeatGrid) -> bool:
        return not grid.is_pending(self.request_id)


def occupant_is_muted(
    known: UTDSeatGrid, index: int, is_muted: bool, told: UTDSeatGrid | None
) -> TrackIsMuted | None:
    """Return that whoever sits on seat `index` is muted, None when nobody does.

    What was `known` may be a change behind: whom the engine muted, the grid in its reply tells.
    """
    occupant, sources = (told or known).occupant_of(index), (TrackSource.MICROPHONE,)
    return None if occupant is None else TrackIsMuted(occupant, sources, is_muted)


ANY_ROOM: Final = (Published, IsDescribed, IsSubscribed)
ANY_SESSION: Final = (*ANY_ROOM, TrackIsMuted, IsGone, HasRole, ChatIsLocked)
SEATED: Final = (
    SeatsAreKnown, IsSitting, IsStanding, SeatIsLocked, SeatIsVacated, IsAsking, IsSilent,
    IsAnswered,
)  # fmt: skip
"""The promises of a kind of session: its row names them (`protocol.kinds`)."""
