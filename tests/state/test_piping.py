"""RxPY's own operators behind a state stream: on the loop, never on a timer thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.observable import ConnectableObservable
from reactivex.subject import BehaviorSubject

from tests.state.virtual import run
from utd_rx.state import StateSubject, Store
from utd_rx.state.events import EventStream

Operator = Callable[[Observable[Any]], Observable[Any]]


def number() -> tuple[Store[int, int], StateSubject[int]]:
    store: Store[int, int] = Store(0, lambda _, item: item)
    return store, store.select(lambda s: s, name="number")


# What each sees of 0 at once, then 1, 2, 3 and 4 every 0.4 s, in loop time.
TIMED: dict[str, tuple[Operator, list[tuple[float, Any]]]] = {
    "debounce": (ops.debounce(1.0), [(2.6, 4)]),
    "throttle_first": (ops.throttle_first(1.0), [(0.0, 0), (1.2, 3)]),
    "sample": (reactivex.compose(ops.sample(1.0), ops.take(2)), [(1.0, 2), (2.0, 4)]),
    "delay": (ops.delay(1.0), [(1.0, 0), (1.4, 1), (1.8, 2), (2.2, 3), (2.6, 4)]),
    "buffer_with_time": (
        reactivex.compose(ops.buffer_with_time(1.0), ops.take(2)),
        [(1.0, [0, 1, 2]), (2.0, [3, 4])],
    ),
    "buffer_with_time_or_count": (
        reactivex.compose(ops.buffer_with_time_or_count(1.0, 2), ops.take(2)),
        [(0.4, [0, 1]), (1.2, [2, 3])],
    ),
    "take_with_time": (ops.take_with_time(1.0), [(0.0, 0), (0.4, 1), (0.8, 2)]),
    "skip_with_time": (ops.skip_with_time(1.0), [(1.2, 3), (1.6, 4)]),
    "timeout": (
        reactivex.compose(ops.timeout(1.0), ops.catch(reactivex.of("late"))),
        [(0.0, 0), (0.4, 1), (0.8, 2), (1.2, 3), (1.6, 4), (2.6, "late")],
    ),
    "an inner timer": (
        reactivex.compose(ops.map(lambda v: reactivex.timer(1.0)), ops.switch_latest()),
        [(2.6, 0)],
    ),
    "map, then debounce": (reactivex.compose(ops.map(str), ops.debounce(1.0)), [(2.6, "4")]),
    "debounce, then map": (reactivex.compose(ops.debounce(1.0), ops.map(str)), [(2.6, "4")]),
    "share": (reactivex.compose(ops.debounce(1.0), ops.share()), [(2.6, 4)]),
}  # fmt: skip


@pytest.mark.parametrize("case", TIMED)
@pytest.mark.parametrize("way", ["pipe", "pipe.pipe", "merge"])
@pytest.mark.usefixtures("no_timers")
def test_time_operators_run_on_the_loop(case: str, way: str) -> None:
    operator, expected = TIMED[case]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        store, n = number()
        log: list[tuple[float, Any]] = []
        me = threading.get_ident()

        def on_next(value: Any) -> None:
            assert threading.get_ident() == me
            log.append((round(loop.time(), 3), value))

        chains: dict[str, Callable[[], Observable[Any]]] = {
            "pipe": lambda: n.pipe(operator),
            "pipe.pipe": lambda: n.pipe(ops.map(lambda v: v)).pipe(operator),
            "merge": lambda: reactivex.merge(n.pipe(operator), reactivex.never()),
        }
        subscription = chains[way]().subscribe(on_next)
        for item in range(1, 5):
            await asyncio.sleep(0.4)
            store.dispatch(item)
        await asyncio.sleep(10)
        subscription.dispose()
        assert log == expected

    # Compared, not counted: LiveKit's native threads stay once another test has loaded it.
    before = set(threading.enumerate())
    run(main())
    assert set(threading.enumerate()) <= before


@pytest.mark.usefixtures("no_timers")
def test_behind_a_stock_subject_they_start_timer_threads() -> None:
    async def main() -> None:
        with pytest.raises(AssertionError, match="a timer thread"):
            BehaviorSubject(0).pipe(ops.debounce(1.0)).subscribe()

    run(main())


@pytest.mark.usefixtures("no_timers")
def test_so_do_the_fluent_methods_and_those_of_events() -> None:
    async def main() -> None:
        store, n = number()
        events: EventStream[int] = EventStream()
        log: list[object] = []
        n.debounce(1.0).map(str).subscribe(log.append)
        events.pipe(ops.debounce(2.0)).subscribe(log.append)
        store.dispatch(1)
        events.emit(7)
        await asyncio.sleep(5)
        assert log == ["1", 7]

    run(main())


def inverse(value: Any) -> Any:
    return 1 // value


def next_up(value: Any) -> Observable[Any]:
    return reactivex.of(value + 1) if value < 3 else reactivex.empty()


IMMEDIATE: dict[str, Operator] = {
    "start_with": ops.start_with(8, 9),
    "concat": ops.concat(reactivex.of(8, 9)),
    "take and concat": reactivex.compose(ops.take(1), ops.concat(reactivex.of(8, 9))),
    "merge": ops.merge(reactivex.from_iterable([7, 8, 9])),
    "flat_map": ops.flat_map(lambda v: reactivex.of(v, -v)),
    "switch_map": ops.switch_map(lambda v: reactivex.range(v, v + 3)),
    "concat_map": ops.concat_map(lambda v: reactivex.return_value(v)),
    "repeat": reactivex.compose(ops.take(1), ops.repeat(3)),
    "retry": reactivex.compose(ops.map(inverse), ops.retry(2), ops.catch(reactivex.of("failed"))),
    "default_if_empty": reactivex.compose(ops.filter(lambda v: False), ops.default_if_empty(5)),
    "on_error_resume_next": ops.on_error_resume_next(reactivex.of(5)),
    "with_latest_from": ops.with_latest_from(reactivex.of(1, 2)),
    "expand": ops.expand(next_up),
}


@pytest.mark.parametrize("case", IMMEDIATE)
def test_what_has_no_delay_is_as_on_a_stock_subject(case: str) -> None:
    operator = IMMEDIATE[case]

    async def main() -> None:
        store, n = number()
        stock = BehaviorSubject(0)
        ours: list[Any] = []
        theirs: list[Any] = []
        n.pipe(operator).subscribe(ours.append, ours.append, lambda: ours.append("end"))
        stock.pipe(operator).subscribe(theirs.append, theirs.append, lambda: theirs.append("end"))
        assert ours == theirs
        for item in (1, 2):
            store.dispatch(item)
            stock.on_next(item)
            assert ours == theirs
        store.close()
        stock.on_completed()
        assert ours == theirs

    run(main())


def test_a_timestamp_is_the_time_of_day() -> None:
    async def main() -> None:
        store, n = number()
        stamps: list[datetime] = []
        n.pipe(ops.timestamp()).subscribe(lambda stamped: stamps.append(stamped.timestamp))
        await asyncio.sleep(60)
        store.dispatch(1)
        assert abs(stamps[0] - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
        assert stamps[1] - stamps[0] == timedelta(seconds=60)

    run(main())


def test_a_given_scheduler_wins_and_without_a_loop_rxpy_decides() -> None:
    store, n = number()
    log: list[object] = []
    n.pipe(ops.map(str)).subscribe(log.append)
    store.dispatch(1)
    assert log == ["0", "1"]

    async def main() -> None:
        scheduler = reactivex.scheduler.VirtualTimeScheduler()
        log.clear()
        n.pipe(ops.debounce(1.0)).subscribe(log.append, scheduler=scheduler)
        await asyncio.sleep(5)
        assert log == []
        scheduler.advance_to(2.0)
        assert log == [1]

    run(main())


def test_what_is_more_than_an_observable_stays_what_it_is() -> None:
    _, n = number()
    assert isinstance(n.pipe(ops.publish()), ConnectableObservable)
    assert n.pipe() is n  # type: ignore[call-overload] # RxPY documents it and types it not
