"""How a command's wait ends: by what the state shows, never by hope."""

from __future__ import annotations

import pytest

from tests.protocol.test_fuzz import joined
from utd_rx.models.events import Reconnecting
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.protocol import audio_room
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts import DeadlinePassed, DisconnectRoom, LeaveStarted
from utd_rx.protocol.promises import Promise, Verdict, Wait


class Told:
    """A promise of which a test says what the state and the grid say."""

    shows = holds = False

    def promise(self) -> Promise:
        def shows(_: AudioRoomState) -> bool:
            return self.shows

        def holds(_: UTDSeatGrid) -> bool:
            return self.holds

        return Promise("it", shows, holds)


@pytest.fixture
def told() -> Told:
    return Told()


def test_it_is_shown_or_pending(told: Told) -> None:
    state = joined()
    wait, verdict = Wait(told.promise(), state.session.connection.epoch).judge(state)
    assert verdict is Verdict.PENDING
    told.shows = True
    assert wait.judge(state)[1] is Verdict.SHOWN


def test_what_held_and_holds_no_more_was_taken_back(told: Told) -> None:
    state = joined()
    told.holds = True
    wait, verdict = Wait(told.promise(), state.session.connection.epoch).judge(state)
    assert verdict is Verdict.PENDING
    told.holds = False
    assert wait.judge(state)[1] is Verdict.TAKEN_BACK


def test_another_join_is_another_matter(told: Told) -> None:
    state = joined()
    told.shows = True
    wait = Wait(told.promise(), state.session.connection.epoch)
    assert Wait(told.promise(), wait.epoch - 1).judge(state)[1] is Verdict.LEFT
    left, _ = audio_room.step(state, LeaveStarted(), 1.0)
    assert wait.judge(left)[1] is Verdict.LEFT


def test_a_forced_exit_takes_the_room_down() -> None:
    state, _ = audio_room.step(joined(), Reconnecting(), 1.0)
    state, effects = audio_room.step(state, DeadlinePassed(), 61.0)
    assert not state.session.connection.is_joined
    assert DisconnectRoom() in effects
