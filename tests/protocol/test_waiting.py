"""How a command's wait ends: by what the state shows, never by hope, and by data, not by timers."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve, frozen

from tests.protocol.test_fuzz import joined
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.participant import TrackSource
from utd_rx.models.seats import UTDSeat, UTDSeatGrid
from utd_rx.protocol import waiting
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts.connection import CloseStarted, DeadlinePassed, LeaveStarted
from utd_rx.protocol.facts.media import PublishingWanted, PublishingWithdrawn
from utd_rx.protocol.facts.seats import FetchSeats, SeatGridFetched, SeatsNotFetched
from utd_rx.protocol.kinds import AUDIO_ROOM
from utd_rx.protocol.promises import IsSitting, Published
from utd_rx.protocol.waiting import EndWait, Promise, WaitDropped, WaitStarted

REFUSED = UTDStreamException("refused", code=UTDErrorCode.SERVER)
SEATED = UTDSeatGrid((UTDSeat(0, "me"), UTDSeat(1)), revision=5)
EMPTY = UTDSeatGrid((UTDSeat(0), UTDSeat(1)), revision=6)


@frozen
class Counted(Promise):
    """A promise that says what the room's count of forged messages says: 1 holds, 2 shows."""

    @property
    def what(self) -> str:
        return "it"

    def shows(self, state: Any) -> bool:
        return bool(state.forged == 2)

    def holds(self, state: Any) -> bool:
        return state.forged in (1, 2)

    def failure(self, state: Any) -> UTDStreamException | None:
        return REFUSED if state.forged == 3 else None


class Driver:
    """A joined room with one command that waits."""

    def __init__(self, promise: Promise) -> None:
        self.state: AudioRoomState = joined()
        self.effects: list[object] = []
        epoch = self.state.session.connection.epoch
        self.tell(WaitStarted(1, promise, epoch), 0.0)

    def tell(self, fact: object, now: float = 1.0) -> None:
        self.state, effects = AUDIO_ROOM.step(self.state, fact, now)
        self.effects = [e for e in effects if isinstance(e, EndWait | FetchSeats)]

    def count(self, forged: int) -> None:
        self.state = evolve(self.state, forged=forged)
        self.tell(None)

    @property
    def error(self) -> UTDStreamException | None:
        [end] = self.effects
        assert isinstance(end, EndWait)
        assert self.state.waits == ()
        return end.error


def test_it_is_pending_until_it_is_shown() -> None:
    driver = Driver(Counted())
    assert driver.effects == []
    driver.count(1)
    assert driver.effects == []
    driver.count(2)
    assert driver.error is None


def test_what_is_shown_already_is_not_waited_for() -> None:
    driver = Driver(Counted())
    driver.count(2)
    driver.tell(WaitStarted(2, Counted(), driver.state.session.connection.epoch))
    assert driver.error is None


def test_what_held_and_holds_no_more_was_taken_back() -> None:
    driver = Driver(Counted())
    driver.count(1)
    driver.count(0)
    error = driver.error
    assert error is not None
    assert error.reason is ConflictReason.OVERTAKEN


def test_what_the_state_says_against_it_is_raised() -> None:
    driver = Driver(Counted())
    driver.count(3)
    assert driver.error is REFUSED


@pytest.mark.parametrize("end", [LeaveStarted(), CloseStarted()])
def test_leaving_ends_it_whatever_is_shown_then(end: object) -> None:
    driver = Driver(Counted())
    driver.state = evolve(driver.state, forged=2)
    driver.tell(end)
    error = driver.error
    assert error is not None
    assert error.reason is ConflictReason.LEFT


def test_another_join_is_another_matter() -> None:
    driver = Driver(Counted())
    epoch = driver.state.session.connection.epoch
    driver.tell(WaitStarted(2, Counted(), epoch - 1))
    [end] = driver.effects
    assert isinstance(end, EndWait)
    assert end.error is not None
    assert (end.id, end.error.reason) == (2, ConflictReason.LEFT)
    assert [wait.id for wait in driver.state.waits] == [1]


def test_its_end_is_a_deadline_of_the_session() -> None:
    driver = Driver(Counted())
    deadline = AUDIO_ROOM.next_deadline(driver.state)
    assert deadline is not None
    assert deadline <= 10.0
    driver.tell(DeadlinePassed(), 9.9)
    assert driver.effects == []
    driver.tell(DeadlinePassed(), 10.0)
    error = driver.error
    assert error is not None
    assert (error.code, error.message) == (UTDErrorCode.TIMEOUT, "it did not arrive within 10 s")


def test_who_is_cancelled_is_answered_no_more() -> None:
    driver = Driver(Counted())
    driver.tell(WaitDropped(1))
    driver.count(2)
    assert driver.effects == []


def test_the_engine_is_asked_once_when_no_push_has_come() -> None:
    driver = Driver(IsSitting("me", 0))
    assert waiting.next_deadline(driver.state) == 2.0
    driver.tell(DeadlinePassed(), 2.0)
    seats = driver.state.seats
    assert driver.effects == [FetchSeats(seats.generation, seats.answers, 1)]
    assert waiting.next_deadline(driver.state) == 10.0
    driver.tell(DeadlinePassed(), 3.0)
    assert driver.effects == []


def test_an_answer_that_denies_it_ends_it_and_one_to_another_question_does_not() -> None:
    driver = Driver(IsSitting("me", 0))
    driver.tell(SeatGridFetched(EMPTY, 0, 0, wait_id=None))
    assert driver.effects == []
    driver.tell(SeatGridFetched(EMPTY, driver.state.seats.generation, 1, wait_id=1))
    error = driver.error
    assert error is not None
    assert error.reason is ConflictReason.OVERTAKEN


def test_an_engine_that_does_not_answer_is_an_error_of_the_command_that_asked() -> None:
    driver = Driver(IsSitting("me", 0))
    driver.tell(SeatsNotFetched(REFUSED, wait_id=7))
    assert driver.effects == []
    driver.tell(SeatsNotFetched(REFUSED, wait_id=1))
    assert driver.error is REFUSED


def test_an_answer_that_bears_it_out_waits_for_the_rest() -> None:
    driver = Driver(IsSitting("me", 0))
    driver.tell(SeatGridFetched(SEATED, driver.state.seats.generation, 0, wait_id=1))
    assert driver.effects == []
    assert driver.state.waits[0].has_held


MIC = TrackSource.MICROPHONE


def test_who_gives_up_takes_back_their_own_word_and_no_later_one() -> None:
    driver = Driver(Counted())
    session = driver.state.session
    microphone = evolve(session.microphone, is_wanted=True, stated=1, resume_by=60.0)
    publications = evolve(session.publications, microphone=microphone)
    lost = evolve(session.connection, is_lost=True, force_exit_at=60.0)
    driver.state = evolve(
        driver.state,
        waits=(),
        session=evolve(session, publications=publications, connection=lost),
    )
    epoch = session.connection.epoch
    driver.tell(WaitStarted(2, Published(MIC, True, 1), epoch), 0.0)
    driver.tell(PublishingWanted(MIC, True), 14.0)
    driver.tell(WaitStarted(3, Published(MIC, True, 2), epoch), 14.0)
    driver.tell(DeadlinePassed(), 15.0)
    assert [getattr(effect, "id", None) for effect in driver.effects] == [2]
    assert driver.state.session.microphone.is_wanted
    driver.tell(DeadlinePassed(), 29.0)
    assert not driver.state.session.microphone.is_wanted


def test_a_withdrawal_is_a_fact_that_a_recording_holds() -> None:
    assert Published(MIC, True, 4).withdrawal == PublishingWithdrawn(MIC, 4)
    assert Published(MIC, False, 4).withdrawal is None
    assert PublishingWithdrawn in AUDIO_ROOM.facts
