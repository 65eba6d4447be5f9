"""The operators, as marbles on a virtual scheduler and on a virtual event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops
from reactivex.disposable import Disposable
from reactivex.subject import Subject
from reactivex.testing.marbles import marbles_testing

from tests.state.virtual import run
from utd_rx.state import (
    AsyncObserverError,
    LoopScheduler,
    Store,
    became,
    debounce,
    held_for,
    loop_scheduler,
    operators,
    sample,
    throttle,
)
from utd_rx.state.operators import Operator

ERROR = ValueError("marble")

MARBLES: dict[str, tuple[Operator[Any], str, str]] = {
    "throttle: at once, then the newest, then silence": (
        throttle(3.0),
        "-a-b-c-----d---|",
        "-a--b--c---d---|",
    ),
    "throttle: a burst ends on its newest": (
        throttle(5.0),
        "-a-b-c-----|",
        "-a----c----|",
    ),
    "throttle: completion flushes": (
        throttle(5.0),
        "-a-b|",
        "-a--(b,|)",
    ),
    "throttle: an error is passed on": (
        throttle(5.0),
        "-a-b#",
        "-a--#",
    ),
    "debounce: a value that stays": (
        debounce(3.0),
        "-a-b---c-d---|",
        "------b-----d|",
    ),
    "debounce: completion flushes": (
        debounce(5.0),
        "-a-b|",
        "----(b,|)",
    ),
    "sample: the newest, if new": (
        sample(4.0),
        "-a-b-c------|",
        "----b---c---|",
    ),
    "became: begins to match": (
        became("b"),
        "-a-b-b-a-b-|",
        "---b-----b-|",
    ),
    "became: not what already was": (
        became(lambda v: v in "ab"),
        "-a-b-c-b-a-|",
        "-------b---|",
    ),
    "held_for: long enough, once": (
        held_for("b", 4.0),
        "-a-b--------a-b-a--b-----|",
        "-------b---------------b-|",
    ),
    "held_for: the newest that matches, from the subscription on": (
        held_for(lambda v: v in "ab", 4.0),
        "-a-b---a---c|",
        "-----b------|",
    ),
    "held_for: a short break is none": (
        held_for("b", 6.0, pause=3.0),
        "-b-a-b---a---b--a----b-------|",
        "-------b-------------------b-|",
    ),
    "held_for: due during a break": (
        held_for("b", 4.0, pause=3.0),
        "-b-a--b---a-----b-a--------|",
        "------b--------------------|",
    ),
    "held_for: an error is passed on": (
        held_for("b", 4.0),
        "-b-#",
        "---#",
    ),
}


@pytest.mark.parametrize("case", MARBLES)
def test_marbles(case: str) -> None:
    operator, source, expected = MARBLES[case]
    with marbles_testing(timespan=1.0) as (start, _, hot, exp):
        assert start(hot(source, None, ERROR).pipe(operator)) == exp(expected, None, ERROR)


def test_throttle_refuses_a_useless_duration() -> None:
    with pytest.raises(ValueError, match="positive"):
        throttle(0)


def test_time_runs_on_the_loop_and_on_its_thread() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        store: Store[int, int] = Store(0, lambda _, item: item)
        n = store.select(lambda s: s)
        log: dict[str, list[tuple[float, int]]] = {"throttle": [], "debounce": [], "sample": []}
        me = threading.get_ident()

        def note(name: str) -> Any:
            def on_next(value: int) -> None:
                assert threading.get_ident() == me
                log[name].append((round(loop.time(), 3), value))

            return on_next

        n.pipe(throttle(1.0)).subscribe(note("throttle"))
        n.pipe(debounce(1.0)).subscribe(note("debounce"))
        sampling = n.pipe(sample(1.0)).subscribe(note("sample"))
        for item in range(1, 5):
            await asyncio.sleep(0.4)
            store.dispatch(item)
        await asyncio.sleep(10)
        sampling.dispose()
        assert log["throttle"] == [(0.0, 0), (1.0, 2), (2.0, 4)]
        assert log["debounce"] == [(2.6, 4)]
        assert log["sample"] == [(1.0, 2), (2.0, 4)]

    # Compared, not counted: LiveKit's native threads stay once another test has loaded it.
    before = set(threading.enumerate())
    run(main())
    assert set(threading.enumerate()) <= before


def test_a_store_fed_by_another_thread_still_emits_the_last_value_on_the_loop() -> None:
    async def main() -> None:
        store: Store[int, int] = Store(0, lambda _, item: item)
        seen: list[int] = []
        settled = asyncio.Event()

        def on_next(value: int) -> None:
            seen.append(value)
            if value == 50:
                settled.set()

        store.select(lambda s: s).pipe(debounce(0.01)).subscribe(on_next)
        thread = threading.Thread(target=lambda: deque(map(store.dispatch, range(51))))
        thread.start()
        async with asyncio.timeout(10):
            await settled.wait()
        thread.join()
        assert seen[-1] == 50

    asyncio.run(main())


def test_without_a_loop_there_is_an_error_rather_than_a_timer_thread() -> None:
    source: Subject[int] = Subject()
    errors: list[Exception] = []
    source.pipe(throttle(1.0)).subscribe(None, errors.append)
    assert "loop_scheduler" in str(errors[0])


def test_a_scheduler_can_be_given() -> None:
    async def main() -> None:
        source: Subject[int] = Subject()
        seen: list[int] = []
        chosen = loop_scheduler(asyncio.get_running_loop())

        def subscribe() -> None:
            source.pipe(throttle(1.0, scheduler=chosen)).subscribe(seen.append)

        await asyncio.to_thread(subscribe)
        for item in (1, 2, 3):
            source.on_next(item)
        await asyncio.sleep(1.5)
        assert seen == [1, 3]

    run(main())


def test_disposing_stops_the_timer() -> None:
    async def main() -> None:
        source: Subject[int] = Subject()
        seen: list[int] = []
        subscription = source.pipe(throttle(1.0)).subscribe(seen.append)
        source.on_next(1)
        source.on_next(2)
        subscription.dispose()
        await asyncio.sleep(5)
        assert seen == [1]

    run(main())


def test_a_predicate_that_raises_is_reported_and_the_stream_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store: Store[int, int] = Store(1, lambda _, item: item)
    seen: list[int] = []
    errors: list[Exception] = []
    store.select(lambda s: s).pipe(became(lambda v: 10 // v > 3)).subscribe(
        seen.append, errors.append
    )
    for item in (5, 0, 2):
        store.dispatch(item)
    assert (seen, errors) == ([2], [])
    assert "ZeroDivisionError" in caplog.text


def test_the_loop_scheduler_keeps_the_time_of_its_loop() -> None:
    async def main() -> None:
        scheduler = loop_scheduler()
        assert isinstance(scheduler, LoopScheduler)
        start = scheduler.now
        fired: list[float] = []
        stream: Observable[int] = Observable()
        stream.pipe(ops.timeout(2.0, scheduler=scheduler)).subscribe(
            None, lambda _: fired.append((scheduler.now - start).total_seconds())
        )
        scheduler.schedule_absolute(
            scheduler.now, lambda *_: fired.append((scheduler.now - start).total_seconds())
        )
        await asyncio.sleep(5)
        assert fired == [0.0, pytest.approx(2.0)]

    run(main())


class Throttled:
    """A throttled source whose timer is run by hand, and which tells who has to wait for whom."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at_the_lock = at_the_lock = threading.Event()

        class Lock:
            def __init__(self) -> None:
                self._lock = threading.Lock()

            def __enter__(self) -> None:
                if not self._lock.acquire(blocking=False):
                    at_the_lock.set()
                    self._lock.acquire()

            def __exit__(self, *_: object) -> None:
                self._lock.release()

        monkeypatch.setattr(operators, "threading", SimpleNamespace(RLock=Lock))
        self.source: Subject[int] = Subject()
        self.timers: list[Any] = []
        self.on_arm: Callable[[], None] = lambda: None
        self.on_next: Callable[[int], None] = lambda value: None
        self.log: list[object] = []
        chosen: Any = self
        self.source.pipe(throttle(1.0, scheduler=chosen)).subscribe(
            self._take, on_completed=lambda: self.log.append("end")
        )

    def schedule_relative(self, _: float, action: Any) -> Disposable:
        self.timers.append(action)
        self.on_arm()
        return Disposable()

    def _take(self, value: int) -> None:
        self.on_next(value)
        self.log.append(value)

    def meanwhile(self, *actions: Callable[[], object]) -> None:
        """Act on another thread, and return when it waits, or is through."""

        def act() -> None:
            for action in actions:
                action()
            self.at_the_lock.set()

        self.other = threading.Thread(target=act)
        self.other.start()
        assert self.at_the_lock.wait(10)


def test_nothing_ends_a_throttled_stream_in_the_middle_of_its_timers_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    throttled = Throttled(monkeypatch)
    throttled.source.on_next(1)
    throttled.source.on_next(2)
    throttled.on_arm = lambda: throttled.meanwhile(throttled.source.on_completed)
    throttled.timers[0](None)
    throttled.other.join(10)
    assert throttled.log == [1, 2, "end"]


def test_nor_does_its_timer_overtake_a_value_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    throttled = Throttled(monkeypatch)

    def on_next(value: int) -> None:
        if value == 1:
            throttled.meanwhile(
                lambda: throttled.source.on_next(2), lambda: throttled.timers[0](None)
            )

    throttled.on_next = on_next
    throttled.source.on_next(1)
    throttled.other.join(10)
    assert throttled.log == [1, 2]


async def test_the_loop_scheduler_may_be_asked_from_another_thread() -> None:
    asyncio.get_running_loop().set_debug(True)  # then what is not thread-safe raises
    scheduler = loop_scheduler()
    threads: list[int] = []
    over = asyncio.Event()

    def first(*_: object) -> None:
        threads.append(threading.get_ident())

    def last(*_: object) -> None:
        first()
        over.set()

    def ask() -> None:
        scheduler.schedule(first)
        scheduler.schedule_relative(0.001, last)

    await asyncio.to_thread(ask)
    async with asyncio.timeout(10):
        await over.wait()
    assert threads == [threading.get_ident()] * 2


def test_became_refuses_an_async_predicate() -> None:
    async def predicate(value: int) -> bool:
        return False

    with pytest.raises(AsyncObserverError, match="predicate is not awaited"):
        became(predicate)
