"""Silence of a device is noticed; a pause of the whole interpreter is not taken for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from utd_rx.devices.supervisor import POLL, STEP, Watchdog

SILENCE, GRACE = 0.5, 2.5


def test_silence_is_noticed_within_a_second() -> None:
    dog, now = Watchdog(0.0, SILENCE, GRACE), 0.0
    for beat in range(1, 5):
        now += POLL
        assert not dog.is_dead(beat, now)
    died_at = now
    while not dog.is_dead(4, now):
        now += POLL
    assert SILENCE < now - died_at < 1.0


def test_a_card_may_warm_up() -> None:
    dog, now = Watchdog(0.0, SILENCE, GRACE), 0.0
    while not dog.is_dead(0, now):
        now += POLL
    assert now > GRACE


@given(st.lists(st.floats(0.0, 60.0), max_size=20))
def test_pauses_of_the_interpreter_are_no_silence(pauses: list[float]) -> None:
    dog, now, beats = Watchdog(0.0, SILENCE, GRACE), 0.0, 0
    for pause in pauses:
        now += pause  # neither the watcher nor the callback ran
        assert not dog.is_dead(beats, now)
        for _ in range(3):
            now += STEP
            beats += 1
            assert not dog.is_dead(beats, now)
