"""What is used is made up for at its rate, and no more is saved than a burst."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from utd_rx.engine.sfu.budget import Budget, Share


def test_a_budget_is_full_at_first_and_fills_at_its_rate() -> None:
    budget = Budget(10.0, 20.0)
    assert budget.take(20.0, 5.0)
    assert not budget.take(1.0, 5.0)
    assert not budget.take(1.0, 5.09)
    assert budget.take(1.0, 5.11)
    assert budget.take(20.0, 100.0)
    assert not budget.take(1.0, 100.0)


def test_what_was_spent_beyond_it_is_waited_for() -> None:
    budget = Budget(10.0, 20.0)
    budget.spend(20.0, 0.0)
    assert budget.wait(0.0) == 0.0
    budget.spend(5.0, 0.0)
    assert budget.wait(0.0) == 0.5
    assert budget.wait(0.2) == 0.3
    assert budget.wait(0.5) == 0.0


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 30)), max_size=30))
def test_never_more_is_taken_than_burst_and_rate_allow(takes: list[tuple[float, float]]) -> None:
    budget, now, taken = Budget(2.0, 10.0), 0.0, 0.0
    for pause, cost in takes:
        now += pause
        if budget.take(cost, now):
            taken += cost
    assert taken <= 10.0 + 2.0 * now + 1e-6


def test_a_share_is_measured_also_of_what_fails() -> None:
    times: Iterator[float] = iter([1.0, 1.5, 2.0, 3.0])
    share = Share(0.25, 0.25, clock=lambda: next(times))
    with share.used(0.0):
        pass
    assert share.wait(0.0) == 1.0
    try:
        with share.used(0.0):
            raise ValueError
    except ValueError:
        assert share.wait(0.0) == 5.0


def test_a_turn_is_over_when_its_part_of_a_share_is_used_and_another_is_not() -> None:
    times: Iterator[float] = iter([1.0, 1.5, 2.0, 2.75, 3.0, 4.0])
    share = Share(1.0, 9.0, turn=1.0, clock=lambda: next(times))
    assert not share.is_turn_over(0.0)
    with share.used(0.0):
        assert not share.is_turn_over(0.0)
    assert not share.is_turn_over(0.0)
    with share.used(0.0):
        pass
    assert share.is_turn_over(0.0)
    assert not share.is_turn_over(0.1)
    with share.used(0.1):
        pass
    assert share.is_turn_over(0.1)
