"""An audio room: a session whose publishers sit on seats.

The server's permission alone is not enough to publish, because an engine may leave it in place when
a seat is lost: whichever of permission and seat in the grid goes first stops the microphone.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from utd_rx.models import events as e
from utd_rx.models.participant import TrackSource
from utd_rx.models.seats import UTDSeat
from utd_rx.protocol import data
from utd_rx.protocol import seating as seating_rules
from utd_rx.protocol import seats as seat_rules
from utd_rx.protocol import session as session_rules
from utd_rx.protocol import speakers as speaker_rules
from utd_rx.protocol.connection import Sync
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.connection import JoinSucceeded
from utd_rx.protocol.facts.media import PublishingWanted
from utd_rx.protocol.seating import Seating
from utd_rx.protocol.seats import Seats
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.speakers import Speakers
from utd_rx.protocol.waiting import Wait

DECODERS: Final = {**data.PEOPLE, **data.SEATS}
"""The engine's messages that an audio room listens to."""

SEATED: Final = frozenset({TrackSource.MICROPHONE})
"""What may be published on a seat; nothing without one."""


@frozen
class AudioRoomState:
    """The whole state; `forged` counts engine messages that a participant forged by name."""

    identity: str
    session: SessionState = SessionState()
    seats: Seats = Seats()
    speakers: Speakers = Speakers()
    seating: Seating | None = None
    waits: tuple[Wait, ...] = ()
    forged: int = 0

    @property
    def my_seat(self) -> UTDSeat | None:
        """The seat this client sits on, None when it has none."""
        return self.seats.grid.seat_of(self.identity)

    @property
    def refused(self) -> int:
        """How many engine messages were forged, or told of something that the engine denies.

        Who sent the latter, a newcomer, or the engine too early, cannot be known: they count once
        for each question they made this client ask.
        """
        session = self.session
        parts = (self.seats, self.speakers, session.roles, session.bans, session.chat)
        return self.forged + sum(part.disproved for part in parts)


def step(state: AudioRoomState, fact: object, now: float) -> tuple[AudioRoomState, Effects]:
    """Return the state after `fact` and what it calls for; total."""
    hint = data.decode(fact, DECODERS) if isinstance(fact, e.DataReceived) else None
    heard = fact if hint is None else hint
    seats = _seats_after(state, heard)
    allowed = frozenset() if seats.grid.seat_of(state.identity) is None else SEATED
    session, effects = session_rules.step(state.session, fact, now, hint=hint, allowed=allowed)
    connection = session.connection
    seating = seating_rules.step(state.seating, fact, session.microphone, connection.epoch)
    if connection.is_closed:
        return evolve(state, session=session, seating=seating), effects
    if not connection.is_joined:
        # Before the first word of a join and after the last: LiveKit still reports while it says
        # goodbye, and a grid of then would pass for one of the next join.
        seats, speakers = seat_rules.forgotten(seats), speaker_rules.forgotten(state.speakers)
        left = evolve(state, session=session, seating=seating, seats=seats, speakers=speakers)
        return left, effects
    # A departure that the roster holds back is none: the connection is being restored.
    is_held = (
        isinstance(fact, e.ParticipantDisconnected)
        and session.roster.find(fact.identity) is not None
    )
    is_void = is_held or seating_rules.is_overtaken(fact, session.microphone)
    told, me, epoch = None if is_void else heard, state.identity, connection.epoch
    speakers = speaker_rules.step(
        state.speakers, told, now, identity=me, grid=seats.grid, epoch=epoch
    )
    speakers, opens = speaker_rules.opens(speakers, session.microphone.is_granted)
    if opens:
        wanted = PublishingWanted(TrackSource.MICROPHONE, True)
        session, more = session_rules.step(session, wanted, now, allowed=allowed)
        effects = (*effects, *more)
    # Metadata may not bring the grid, and after a long outage it may not bring the newest.
    is_resynced = isinstance(fact, e.Reconnected) and connection.last_sync is Sync.FULL
    if is_resynced or (isinstance(fact, JoinSucceeded | e.Reconnected) and not seats.is_known):
        seats = seat_rules.stale(seats)
    seats, fetches = seat_rules.follow_up(seats)
    speakers, questions = speaker_rules.follow_up(speakers, now, epoch)
    forged = state.forged + (isinstance(fact, e.DataReceived) and data.is_forged(fact))
    after = AudioRoomState(me, session, seats, speakers, seating, state.waits, forged)
    return after, (*effects, *fetches, *questions)


def next_deadline(state: AudioRoomState) -> float | None:
    return earliest(
        session_rules.next_deadline(state.session),
        speaker_rules.next_deadline(state.speakers),
    )


def _seats_after(state: AudioRoomState, fact: object) -> Seats:
    is_late = isinstance(fact, JoinSucceeded) and fact.epoch != state.session.connection.epoch
    metadata = None if is_late else data.metadata_in(fact)
    told = fact if metadata is None else data.seats_in_metadata(metadata)
    return seat_rules.step(state.seats, told)
