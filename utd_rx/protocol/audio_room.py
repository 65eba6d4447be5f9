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
from utd_rx.protocol import speakers as speaker_rules
from utd_rx.protocol.connection import Sync
from utd_rx.protocol.facts import JoinSucceeded, MicrophoneWanted
from utd_rx.protocol.roles import is_present
from utd_rx.protocol.seats import Seats
from utd_rx.protocol.session import Effects, SessionState
from utd_rx.protocol.speakers import Speakers


@frozen
class AudioRoomState:
    """The whole state of an audio room session."""

    identity: str
    session: SessionState = SessionState()
    seats: Seats = Seats()
    speakers: Speakers = Speakers()
    forged: int = 0
    """How many engine messages a participant forged by name; they were refused."""

    @property
    def my_seat(self) -> UTDSeat | None:
        """The seat this client sits on, None when it has none."""
        return self.seats.seat_of(self.identity)

    @property
    def refused(self) -> int:
        """How many engine messages were forged, or told of something that the engine denies.

        The latter have no sender, so who sent them cannot be known: a newcomer, or the engine
        whose push was overtaken. They count once for each question they made this client ask.
        """
        session = self.session
        parts = (self.seats, self.speakers, session.roles, session.bans, session.chat)
        return self.forged + sum(part.disproved for part in parts)


def step(state: AudioRoomState, fact: object, now: float) -> tuple[AudioRoomState, Effects]:
    """Return the state after `fact` and what it calls for; total."""
    told = fact
    if isinstance(fact, e.DataReceived):
        told = data.decode(fact, previous=state.seats.grid)
    seats = _seats_after(state, told)
    is_seated = seats.seat_of(state.identity) is not None
    hint = told if told is not fact else None
    session, effects = session_rules.step(
        state.session, fact, now, told=hint, may_publish=is_seated
    )
    connection = session.connection
    if not connection.is_joined:
        # Before the first word of a join and after the last: LiveKit still reports while it says
        # goodbye, and a grid of then would pass for one of the next join.
        seats = seat_rules.forgotten(seats)
        speakers = speaker_rules.forgotten(state.speakers)
        return evolve(state, session=session, seats=seats, speakers=speakers), effects
    # A departure that the roster holds back is none: the connection is being restored.
    is_held = isinstance(fact, e.ParticipantDisconnected) and is_present(
        session.roster, fact.identity
    )
    speakers = speaker_rules.step(
        state.speakers,
        None if is_held else told,
        now,
        identity=state.identity,
        grid=seats.grid,
        epoch=connection.epoch,
    )
    speakers, opens = speaker_rules.opens(speakers, session.microphone.is_granted)
    if opens:
        wanted = MicrophoneWanted(True)
        session, more = session_rules.step(session, wanted, now, may_publish=is_seated)
        effects = (*effects, *more)
    # Metadata may not bring the grid, and after a long outage it may not bring the newest.
    is_resynced = isinstance(fact, e.Reconnected) and connection.last_sync is Sync.FULL
    if is_resynced or (isinstance(fact, JoinSucceeded | e.Reconnected) and not seats.is_known):
        seats = seat_rules.stale(seats)
    seats, fetches = seat_rules.follow_up(seats)
    speakers, questions = speaker_rules.follow_up(speakers, now, connection.epoch)
    forged = state.forged + (isinstance(fact, e.DataReceived) and data.is_forged(fact))
    after = evolve(state, session=session, seats=seats, speakers=speakers, forged=forged)
    return after, (*effects, *fetches, *questions)


def next_deadline(state: AudioRoomState) -> float | None:
    """Return when the session's timer must fire, in monotonic seconds; None for never."""
    deadlines = (
        session_rules.next_deadline(state.session),
        speaker_rules.next_deadline(state.speakers),
    )
    return min((at for at in deadlines if at is not None), default=None)


def _seats_after(state: AudioRoomState, fact: object) -> Seats:
    seats = state.seats
    match fact:
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
