"""`Machine`: effects come after deliveries, in order, and what they dispatch queues up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from utd_rx.state import Machine, StateSubject, StoreClosedError, combine_state

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


def test_an_item_that_cannot_be_folded_takes_no_other_with_it_where_it_is_to_be_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log: list[str] = []
    machine = Machine(0, add, perform=log.append, now=lambda: 0.0, drops_failures=True)
    machine.dispatch_all([1, -1, 2])
    assert (machine.state, log) == (3, ["said 1 at 0.0", "said 3 at 0.0"])
    assert "the step of a int, now dropped, raised: ValueError" in caplog.text
    caplog.clear()
    machine.dispatch(-1)  # nothing to publish, and reported all the same
    assert (machine.state, len(caplog.records)) == (3, 1)


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
    assert "the effect str raised: OSError" in caplog.text
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
    assert "a tap, which hears no more, raised: ImpureStepError" in caplog.text


def test_its_head_is_ahead_of_what_is_published() -> None:
    heads: list[tuple[int, int]] = []
    machine = Machine(0, add, perform=lambda effect: None, now=lambda: 0.0)

    def on_next(value: int) -> None:
        if value == 1:
            machine.dispatch(10)
        heads.append((machine.state, machine.head))

    machine.select(lambda s: s).subscribe(on_next)
    machine.dispatch(1)
    assert heads == [(0, 0), (1, 11), (11, 11)]


class AtHome:
    """A machine of this loop, and on which threads it called whom."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.threads: set[int] = set()
        self.ended = asyncio.Event()
        self.machine = Machine(
            0, add, perform=self.hear, now=lambda: 0.0, loop=asyncio.get_running_loop()
        )
        self.n: StateSubject[int] = self.machine.select(lambda s: s, name="n")
        self.n.subscribe(self.hear, None, self.ended.set)

    def hear(self, value: object) -> None:
        self.heard.append(value)
        self.threads.add(threading.get_ident())


class Visitor:
    """Another thread that subscribes, and is slow to take its first value."""

    def __init__(self, n: StateSubject[int]) -> None:
        self._entered, self._go_on = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=n.subscribe, args=(self._take,))
        self._thread.start()
        assert self._entered.wait(10)

    def _take(self, _: int) -> None:
        self._entered.set()
        assert self._go_on.wait(10)

    def leave(self) -> None:
        self._go_on.set()
        self._thread.join(10)


async def test_on_a_loop_another_threads_commits_are_delivered_and_performed_there() -> None:
    home = AtHome()

    def feed() -> None:
        for item in (1, 1):
            home.machine.dispatch(item)
        home.machine.close()

    await asyncio.to_thread(feed)
    await home.ended.wait()
    assert home.heard == [0, 1, "said 1 at 0.0", 2, "said 2 at 0.0"]
    assert home.threads == {threading.get_ident()}


async def test_who_subscribes_elsewhere_publishes_and_delivers_nobody_elses() -> None:
    home = AtHome()
    visitor = Visitor(home.n)
    home.machine.dispatch_all([1])
    home.machine.dispatch_all([1])
    assert (home.machine.state, home.machine.head, home.heard) == (0, 2, [0])
    visitor.leave()
    assert (home.machine.state, home.heard) == (1, [0])
    home.machine.close()
    await home.ended.wait()
    assert home.heard == [0, 1, "said 1 at 0.0", 2, "said 2 at 0.0"]
    assert home.threads == {threading.get_ident()}


def test_when_its_loop_has_gone_it_is_delivered_where_it_is_dispatched() -> None:
    async def main() -> AtHome:
        return AtHome()

    with asyncio.Runner() as runner:
        home = runner.run(main())
        home.machine.dispatch(1)  # it may run again, or never
        assert home.heard == [0, 1, "said 1 at 0.0"]
    home.machine.dispatch(1)
    assert home.heard[3:] == [2, "said 2 at 0.0"]


def test_as_well_when_it_goes_at_that_moment() -> None:
    def closed(_: object) -> None:
        raise RuntimeError("Event loop is closed")

    loop: Any = SimpleNamespace(is_running=lambda: True, call_soon_threadsafe=closed)
    log: list[str] = []
    Machine(0, add, perform=log.append, now=lambda: 0.0, loop=loop).dispatch(1)
    assert log == ["said 1 at 0.0"]


async def test_until_takes_nothing_for_the_outcome_that_is_older_than_the_commit() -> None:
    home = AtHome()
    parity = home.machine.select(lambda s: s % 2, name="parity")
    visitor = Visitor(home.n)
    home.machine.dispatch(2)
    changed = asyncio.ensure_future(home.n.until(lambda n: True))
    unchanged = asyncio.ensure_future(parity.until(lambda n: True))
    await asyncio.sleep(0)
    assert not changed.done()
    assert not unchanged.done()
    visitor.leave()
    async with asyncio.timeout(10):
        assert (await changed, await unchanged) == (2, 0)
    assert repr(parity).endswith("0 observers>")
    home.machine.close()
