"""An audio room: a session whose publishers sit on seats (facts/utd-engine.md §4.1).

Publishing is sitting: the server's permission alone is not enough, because an engine may leave
it in place when a seat is lost, so the microphone also needs the seat in the grid. Whichever of
the two goes first stops it.
"""

from __future__ import annotations

from attrs import evolve, frozen

from utd_rx.models import events as e
from utd_rx.models.seats import UTDSeat
from utd_rx.protocol import data
from utd_rx.protocol import seats as seat_rules
from utd_rx.protocol import session as session_rules
from utd_rx.protocol.connection import Sync
from utd_rx.protocol.facts import JoinSucceeded
from utd_rx.protocol.seats import Seats
from utd_rx.protocol.session import Effects, SessionState


@frozen
class AudioRoomState:
    """The whole state of an audio room session."""

    identity: str
    session: SessionState = SessionState()
    seats: Seats = Seats()
    forged: int = 0
    """How many engine messages a participant forged; they were refused."""

    @property
    def my_seat(self) -> UTDSeat | None:
        """The seat this client sits on, None when it has none."""
        return self.seats.seat_of(self.identity)


def step(state: AudioRoomState, fact: object, now: float) -> tuple[AudioRoomState, Effects]:
    """Return the state after `fact` and what it calls for; total."""
    seats = _seats_after(state, fact)
    session, effects = session_rules.step(
        state.session, fact, now, may_publish=seats.seat_of(state.identity) is not None
    )
    connection = session.connection
    if not connection.is_joined:
        if state.session.connection.is_joined:
            seats = seat_rules.forgotten(seats)
        return evolve(state, session=session, seats=seats), effects
    # Metadata may not bring the grid, and after a long outage it may not bring the newest.
    is_resynced = isinstance(fact, e.Reconnected) and connection.last_sync is Sync.FULL
    if is_resynced or (isinstance(fact, JoinSucceeded | e.Reconnected) and not seats.is_known):
        seats = seat_rules.stale(seats)
    seats, fetches = seat_rules.follow_up(seats)
    forged = state.forged + (isinstance(fact, e.DataReceived) and data.is_forged(fact))
    return evolve(state, session=session, seats=seats, forged=forged), (*effects, *fetches)


def _seats_after(state: AudioRoomState, fact: object) -> Seats:
    seats = state.seats
    match fact:
        case e.DataReceived():
            return seat_rules.step(seats, data.decode(fact, previous=seats.grid))
        case e.RoomMetadataChanged(metadata=metadata):
            return _with_metadata(seats, metadata)
        case JoinSucceeded(epoch=epoch, snapshot=snapshot):
            is_current = epoch == state.session.connection.epoch
            return _with_metadata(seats, snapshot.metadata) if is_current else seats
        case e.Reconnected(snapshot=snapshot):
            return _with_metadata(seats, snapshot.metadata)
        case _:
            return seat_rules.step(seats, fact)


def _with_metadata(seats: Seats, metadata: str) -> Seats:
    return seat_rules.step(seats, data.seats_in_metadata(metadata, previous=seats.grid))
