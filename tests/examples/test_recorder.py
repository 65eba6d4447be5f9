"""Whoever speaks, leaves and comes back: what is on the tracks is what was said."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from examples import recorder
from tests.examples.planting import SHORT, AppMachine, planted, play, story_of
from utd_rx import ToneSource

NAMES: Final = ("ben", "cleo")
PEOPLE: Final = st.sampled_from(NAMES)
ROUNDING: Final = 0.05
"""Seconds for each time that somebody speaks: frames have 10 ms, and begin on the way."""


class StudioMachine(AppMachine):
    """A room that is recorded, and people who speak there."""

    app: Any = recorder

    def __init__(self) -> None:
        super().__init__()
        self.room = self.world.join_audio_room("studio", host=True, seats=2)
        self.people = {
            name: self.world.join_audio_room(name, microphone=ToneSource()) for name in NAMES
        }
        self.recorder = self.app.Recorder(self.room)
        self.is_recording = False
        self.said: Counter[str] = Counter()
        self.slack: Counter[str] = Counter()

    @rule()
    def starts(self) -> None:
        if not self.is_recording:
            self.recorder.start()
        self.is_recording = True

    @rule()
    def stops(self) -> None:
        if self.is_recording:
            self.recorder.stop()
        self.is_recording = False

    @rule(who=PEOPLE, tenths=st.integers(1, 3))
    def speaks(self, who: str, tenths: int) -> None:
        if self.people[who].connected.value:
            self.world.run(self.people[who].take_seat(NAMES.index(who)))
            self.world.advance(tenths / 10)
            self.world.run(self.people[who].leave_seat())
            self.said[who] += tenths if self.is_recording else 0
            self.slack[who] += 1

    @rule(who=PEOPLE)
    def leaves(self, who: str) -> None:
        self.world.run(self.people[who].leave())

    @rule(who=PEOPLE)
    def comes_back(self, who: str) -> None:
        self.tries(self.people[who].join())

    def check(self) -> None:
        for who in NAMES:
            missing = self.said[who] / 10 - self.recorder.seconds(who)
            assert abs(missing) <= self.slack[who] * ROUNDING, f"{who}: {missing:.2f} s"


def test_what_is_said_is_recorded() -> None:
    play(StudioMachine)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("line", "instead"),
    [
        pytest.param(
            "for new in here - self._following.keys():",
            "for new in here:",
            id="any news of somebody records them twice",
        ),
        pytest.param(
            "self._following.pop(gone).dispose()",
            "self._following[gone].dispose()",
            id="who comes back is not heard",
        ),
        pytest.param("self._follow(())", "return", id="it goes on when it was stopped"),
    ],
)
def test_a_bug_is_found_in_a_short_story(line: str, instead: str) -> None:
    story = story_of(StudioMachine, planted(recorder, line, instead))
    assert 1 <= len(story) <= SHORT, story
