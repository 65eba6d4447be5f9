"""Whoever comes, asks and thinks better of it: the queue is served in order, turn by turn."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from examples import queue_manager
from tests.examples.planting import SHORT, AppMachine, planted, play, story_of
from utd_rx import UTDSeatGrid

TURN: Final = 60.0
NAMES: Final = ("ben", "cleo", "dora")
PEOPLE: Final = st.sampled_from(NAMES)


class QueueMachine(AppMachine):
    """A room of one seat with a queue manager, and people who want to speak."""

    app: Any = queue_manager

    def __init__(self) -> None:
        super().__init__()
        self.host = self.world.join_audio_room("host", host=True, seats=1, seat_mode="request")
        self.people = {name: self.world.join_audio_room(name) for name in NAMES}
        self.complaints: list[str] = []
        self.sat_down: dict[str, float] = {}
        self.stands_up_now = ""
        self.before = self.host.seats.value
        self.people["ben"].seats.subscribe(self.observe)
        self.world.network.delay("host", 0.1)  # the manager is not beside the engine
        self.world.spawn(self.app.QueueManager(self.host, TURN).run())

    @rule(who=PEOPLE)
    def asks(self, who: str) -> None:
        self.tries(self.people[who].request_to_speak(microphone=False))
        self.world.advance(0.05)  # the manager does not know yet

    @rule(who=PEOPLE)
    def thinks_better_of_it(self, who: str) -> None:
        self.tries(self.people[who].cancel_request())

    @rule(who=PEOPLE)
    def stands_up(self, who: str) -> None:
        self.stands_up_now = who
        self.tries(self.people[who].leave_seat())
        self.stands_up_now = ""

    @rule(seconds=st.sampled_from([1.0, 65.0]))
    def a_while_passes(self, seconds: float) -> None:
        self.world.advance(seconds)
        [seat] = self.before.seats
        if self.before.requests:
            assert seat.identity, "somebody waits, and nobody speaks"
            assert self.world.now < self.sat_down[seat.identity] + TURN + 1, "a turn has no end"

    def check(self) -> None:
        assert not self.complaints

    def observe(self, grid: UTDSeatGrid) -> None:
        """Look at who came to the seat, and who went."""
        [seat], [was], now = grid.seats, self.before.seats, self.world.now
        if seat.identity != was.identity:
            if was.identity not in (None, self.stands_up_now):
                sat = now - self.sat_down[was.identity]
                if sat < TURN:
                    self.complaints.append(f"{was.identity} was sent away after {sat:.1f} s")
            if seat.identity is not None:
                asked = self.before.request_of(seat.identity)
                if asked is not None and asked != self.before.requests[0]:
                    self.complaints.append(f"{seat.identity} did not wait for their turn")
                self.sat_down[seat.identity] = now
        self.before = grid


def test_the_queue_is_served_in_order() -> None:
    play(QueueMachine)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("line", "instead"),
    [
        pytest.param("grid.requests[0]", "grid.requests[-1]", id="who asked last is first"),
        pytest.param(
            "self._since = {who:", "self._since |= {who:", id="a turn once begun never ends"
        ),
        pytest.param(
            "with suppress(UTDStreamException):",
            "with suppress(TimeoutError):",
            id="a request that was withdrawn is the end",
        ),
    ],
)
def test_a_bug_is_found_in_a_short_story(line: str, instead: str) -> None:
    story = story_of(QueueMachine, planted(queue_manager, line, instead))
    assert 1 <= len(story) <= SHORT, story
