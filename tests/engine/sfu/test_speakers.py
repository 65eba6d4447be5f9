"""The rule that makes a speaker: windows of RTP time, levels in -dBov."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from utd_rx.engine.sfu.speakers import SpeechMeter, changed_levels, is_loud


def feed(meter: SpeechMeter, level: int, packets: int, start: float = 0.0) -> float:
    for n in range(packets):
        meter.observe(level, 20.0, start + n * 0.02)
    return start + packets * 0.02


def test_nothing_heard_is_silence() -> None:
    assert SpeechMeter().level(0.0) == 0.0


def test_the_threshold_is_inclusive() -> None:
    assert is_loud(35)
    assert not is_loud(36)


def test_a_window_is_active_from_forty_percent_on() -> None:
    for loud, expected in ((7, False), (8, True)):
        meter = SpeechMeter()
        now = feed(meter, 20, loud)
        now = feed(meter, 127, 20 - loud, now)
        assert (meter.level(now) > 0) is expected


def test_the_level_rises_over_windows_and_falls_at_once() -> None:
    meter = SpeechMeter()
    now = feed(meter, 6, 20)
    first = meter.level(now)
    now = feed(meter, 6, 40, now)
    assert meter.level(now) > first > 0
    now = feed(meter, 127, 20, now)
    assert meter.level(now) == 0.0


def test_a_level_is_an_eighth_step() -> None:
    meter = SpeechMeter()
    now = feed(meter, 30, 20)
    assert meter.level(now) == 0.125


def test_a_track_that_stops_is_forgotten() -> None:
    meter = SpeechMeter()
    now = feed(meter, 6, 40)
    assert meter.level(now + 0.7) > 0
    assert meter.level(now + 0.9) == 0.0


@given(st.lists(st.tuples(st.integers(0, 127), st.floats(0, 400)), max_size=80))
def test_a_level_stays_between_zero_and_one(packets: list[tuple[int, float]]) -> None:
    meter = SpeechMeter()
    for level, duration in packets:
        meter.observe(level, duration, 0.0)
        assert 0.0 <= meter.level(0.0) <= 1.0


def test_only_changes_are_reported_and_silence_is_one() -> None:
    assert changed_levels({}, {}) == {}
    assert changed_levels({"a": 0.5}, {"a": 0.5}) == {}
    assert changed_levels({"a": 0.5, "b": 0.5}, {"a": 0.25, "c": 1.0}) == {
        "a": 0.25,
        "b": 0.0,
        "c": 1.0,
    }
