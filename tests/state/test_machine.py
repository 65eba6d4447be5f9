"""`Machine`: effects come after deliveries, in order, and what they dispatch queues up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from utd_rx.state import Machine, StoreClosedError, combine_state

Step = tuple[int, Sequence[str]]


def add(state: int, item: int, now: float) -> Step:
    if item < 0:
        raise ValueError(item)
    return state + item, [f"said {state + item} at {now}"] if item else ["said nothing"]


def test_effects_follow_the_deliveries_of_their_commit() -> None:
    log: list[object] = []
    machine = Machine(0, add, perform=log.append, now=lambda: 5.0)
    n = machine.select(lambda s: s)
    n.subscribe(log.append)
    n.subscribe(lambda v: log.append(-v))
    log.clear()
    machine.dispatch(1)
    machine.dispatch(0)  # no change of state, an effect all the same
    machine.dispatch_all([1, 1])
    assert log == [1, -1, "said 1 at 5.0", "said nothing", 3, -3, "said 2 at 5.0", "said 3 at 5.0"]
    assert machine.version == 2


def test_what_an_effect_dispatches_is_queued_behind() -> None:
    log: list[object] = []

    def perform(effect: str) -> None:
        log.append(effect)
        if machine.state < 3:
            before = machine.state
            machine.dispatch(1)
            assert machine.state == before
            log.append("effect over")

    machine = Machine(0, add, perform=perform, now=lambda: 0.0)
    machine.select(lambda s: s).subscribe(log.append)
    machine.dispatch_all([1, 1])
    assert log == [
        *(0, 2, "said 1 at 0.0", "effect over", "said 2 at 0.0", "effect over"),
        *(3, "said 3 at 0.0", 4, "said 4 at 0.0"),
    ]


def test_a_reentrant_dispatch_waits_for_the_effects_of_the_current_commit() -> None:
    log: list[object] = []
    machine = Machine(0, add, perform=log.append, now=lambda: 0.0)

    def on_next(value: int) -> None:
        log.append(value)
        if value == 1:
            machine.dispatch(1)

    machine.select(lambda s: s).subscribe(on_next)
    machine.dispatch(1)
    assert log == [0, 1, "said 1 at 0.0", 2, "said 2 at 0.0"]


def test_a_raising_step_has_no_effects() -> None:
    log: list[str] = []
    machine = Machine(0, add, perform=log.append, now=lambda: 0.0)
    with pytest.raises(ValueError, match="-1"):
        machine.dispatch_all([1, -1])
    assert (machine.state, log) == (0, [])


def test_a_raising_effect_is_reported_without_its_payload_and_stops_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log: list[str] = []

    def perform(effect: str) -> None:
        if effect == "said 1 at 0.0":
            raise OSError("no network")
        log.append(effect)

    machine = Machine(0, add, perform=perform, now=lambda: 0.0)
    machine.dispatch_all([1, 1])
    machine.dispatch(1)
    assert log == ["said 2 at 0.0", "said 3 at 0.0"]
    assert "performing str raised" in caplog.text
    assert "said 1" not in caplog.messages[0]


def test_a_batch_has_one_time() -> None:
    times = iter((1.0, 2.0, 3.0))
    log: list[str] = []
    machine = Machine(0, add, perform=log.append, now=lambda: next(times))
    machine.dispatch_all([1, 1])
    machine.dispatch(1)
    assert log == ["said 1 at 1.0", "said 2 at 1.0", "said 3 at 2.0"]


def test_effects_of_commits_before_close_are_performed_and_may_offer_but_not_dispatch() -> None:
    log: list[object] = []

    def perform(effect: str) -> None:
        log.append(effect)
        log.append(machine.offer(1))
        with pytest.raises(StoreClosedError):
            machine.dispatch(1)

    machine = Machine(0, add, perform=perform, now=lambda: 0.0)
    machine.select(lambda s: s).subscribe(
        lambda v: machine.close() if v else None, None, lambda: log.append("end")
    )
    machine.dispatch(1)
    assert log == ["said 1 at 0.0", False, "end"]
    assert machine.late == 1


def test_it_is_a_store_to_combine_state() -> None:
    machine = Machine(1, add, perform=lambda effect: None, now=lambda: 0.0)
    pair = combine_state(machine.select(lambda s: s), machine.select(lambda s: -s))
    machine.dispatch(1)
    assert pair.value == (2, -2)


Heard = list[tuple[float, tuple[int, ...]]]


def test_on_commit_hears_every_commit_from_now_on_and_those_without_effect() -> None:
    heard: Heard = []
    times = iter(range(1, 9))
    machine = Machine(0, add, perform=lambda effect: None, now=lambda: float(next(times)))
    machine.dispatch(5)
    tapped = machine.on_commit(lambda at, items: heard.append((at, tuple(items))))
    assert (tapped.state, tapped.at) == (5, 2.0)
    machine.dispatch_all([1, 0])
    with pytest.raises(ValueError, match="-1"):
        machine.dispatch_all([1, -1])
    machine.dispatch_all([])
    tapped.subscription.dispose()
    machine.dispatch(7)
    assert heard == [(3.0, (1, 0)), (5.0, ())]


def test_on_commit_begins_with_what_is_folded_though_not_delivered() -> None:
    heard: Heard = []
    machine = Machine(0, add, perform=lambda effect: None, now=lambda: 0.0)

    def on_next(value: int) -> None:
        if value == 1:
            machine.dispatch(10)
            assert machine.state == 1
            assert machine.on_commit(lambda at, items: heard.append((at, tuple(items)))).state == 11
            machine.dispatch(100)

    machine.select(lambda s: s).subscribe(on_next)
    machine.dispatch(1)
    assert heard == [(0.0, (100,))]


def test_who_raises_on_commit_is_reported_and_heard_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    calls: list[object] = []

    def broken(at: float, items: Sequence[int]) -> None:
        calls.append(items)
        machine.dispatch(1)

    machine = Machine(0, add, perform=lambda effect: None, now=lambda: 0.0)
    machine.on_commit(broken)
    machine.on_commit(lambda at, items: calls.append("sound"))
    machine.dispatch(1)
    machine.dispatch(1)
    assert machine.state == 2
    assert calls == [(1,), "sound", "sound"]
    assert "a tap raised and hears no more: ImpureStepError" in caplog.text
