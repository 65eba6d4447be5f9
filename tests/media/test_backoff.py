"""A process that died is replaced soon, and three deaths in a minute are enough."""

from __future__ import annotations

from utd_rx.media.backoff import DELAYS, WINDOW, Deaths


def test_the_first_death_is_answered_at_once_the_second_later_and_the_third_not() -> None:
    deaths = Deaths()
    assert deaths.delay(0.0) == 0
    deaths = deaths.after(10.0)
    assert deaths.delay(10.0) == DELAYS[0] == 0
    deaths = deaths.after(11.0)
    assert deaths.delay(11.0) == DELAYS[1] > 0
    assert deaths.delay(11.0 + DELAYS[1]) == 0
    deaths = deaths.after(12.0)
    assert deaths.delay(12.0) is None
    assert deaths.delay(10.0 + WINDOW) is not None


def test_deaths_that_are_far_apart_are_the_first_each_time() -> None:
    deaths = Deaths()
    for number in range(5):
        deaths = deaths.after(number * WINDOW)
        assert deaths.delay(number * WINDOW) == 0
