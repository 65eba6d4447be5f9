"""`Store`: dispatch, batches, selectors, life and death."""

from __future__ import annotations

import copy
import functools
import gc
import operator
import pickle
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.disposable import CompositeDisposable
from reactivex.observer import Observer

from utd_rx.state import (
    AsyncObserverError,
    ImpureStepError,
    StateSubject,
    Store,
    StoreClosedError,
)
from utd_rx.state.events import EventStream


def divide(state: int, item: int) -> int:
    return state // item


def replace(state: int, item: int) -> int:
    return item


def test_an_exception_of_the_step_goes_to_the_dispatcher_and_changes_nothing() -> None:
    store = Store(8, divide)
    seen: list[int] = []
    store.select(lambda s: s).subscribe(seen.append)
    with pytest.raises(ZeroDivisionError):
        store.dispatch(0)
    assert (store.state, store.version, seen) == (8, 0, [8])


def test_also_to_a_dispatcher_inside_a_callback() -> None:
    store = Store(8, divide)
    refused: list[int] = []

    def on_next(value: int) -> None:
        if value == 4:
            with pytest.raises(ZeroDivisionError):
                store.dispatch(0)
            refused.append(store.state)

    store.select(lambda s: s).subscribe(on_next)
    store.dispatch(2)
    assert refused == [4]


def test_a_batch_is_one_commit() -> None:
    store: Store[int, int] = Store(0, lambda state, item: state + item)
    seen: list[int] = []
    store.select(lambda s: s).subscribe(seen.append)
    store.dispatch_all(range(5))
    assert (seen, store.version) == ([0, 10], 1)


def test_a_batch_with_a_bad_item_changes_nothing_at_all() -> None:
    store = Store(8, divide)
    with pytest.raises(ZeroDivisionError):
        store.dispatch_all([2, 0])
    assert store.state == 8
    store.dispatch(2)
    assert store.state == 4


def test_a_batch_read_from_an_iterator_may_raise_and_changes_nothing() -> None:
    store = Store(0, replace)
    with pytest.raises(ValueError, match="invalid literal"):
        store.dispatch_all(int(text) for text in ("1", "x"))
    assert store.state == 0


def test_the_same_state_object_is_no_commit() -> None:
    store: Store[tuple[int, ...], int] = Store((), lambda state, item: state)
    store.dispatch(1)
    assert store.version == 0


def test_after_close_dispatch_raises_and_offers_are_counted() -> None:
    store = Store(0, replace)
    assert store.offer(1)
    assert not store.closed
    store.close()
    assert store.closed
    with pytest.raises(StoreClosedError, match="closed"):
        store.dispatch(2)
    with pytest.raises(StoreClosedError):
        store.dispatch_all([])
    assert not store.offer(3)
    assert (store.state, store.late) == (1, 1)


def test_a_step_that_dispatches_is_refused() -> None:
    def impure(state: int, item: int) -> int:
        store.dispatch(item)
        return item

    store: Store[int, int] = Store(0, impure)
    with pytest.raises(ImpureStepError, match="pure"):
        store.dispatch(1)
    assert store.state == 0


@pytest.mark.parametrize("crime", ["dispatch", "subscribe", "close"])
def test_a_selector_that_does_more_than_select_is_refused(crime: str) -> None:
    store = Store(0, replace)
    other = store.select(lambda s: s)

    def impure(state: int) -> int:
        if crime == "dispatch":
            store.dispatch(1)
        elif crime == "subscribe":
            other.subscribe(print)
        else:
            store.close()
        return state

    with pytest.raises(ImpureStepError, match=crime):
        store.select(impure)


def test_a_selector_that_raises_at_once_raises_to_its_author() -> None:
    with pytest.raises(ZeroDivisionError):
        Store(0, replace).select(lambda s: 1 // s)


def test_a_selector_that_raises_later_keeps_its_value_is_reported_once_and_recovers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store(1, replace)
    ratio = store.select(lambda s: 10 // s, name="ratio")
    seen: list[int] = []
    ratio.subscribe(seen.append)
    others: list[int] = []
    store.select(lambda s: s).subscribe(others.append)
    unnoticed: tuple[int, ...] = (0, -0, 0)
    for item in unnoticed:
        store.dispatch(item)
        store.dispatch_all([7, item])
        assert ratio.value == 10
    assert caplog.text.count("the selector of 'ratio' raised") == 1
    store.dispatch(5)
    store.dispatch(0)
    assert (seen, others) == ([10, 2], [1, 0, 5, 0])
    assert caplog.text.count("the selector of 'ratio' raised") == 2


def test_an_unobserved_selector_is_computed_when_read_and_never_twice() -> None:
    calls: list[int] = []

    def count(state: int) -> int:
        calls.append(state)
        return state

    store = Store(0, replace)
    subject = store.select(count)
    for item in range(1, 100):
        store.dispatch(item)
    assert calls == [0]
    assert subject.value == subject.value == 99
    assert calls == [0, 99]


def test_a_dropped_selector_is_freed_at_once_and_an_observed_one_lives() -> None:
    store = Store(0, replace)
    gc.disable()
    try:
        dropped = weakref.ref(store.select(lambda s: s))
        assert dropped() is None
        seen: list[int] = []
        subscription = store.select(lambda s: s).subscribe(seen.append)
        store.dispatch(1)
        subscription.dispose()
        store.dispatch(2)
    finally:
        gc.enable()
    assert seen == [0, 1]


@pytest.mark.long
def test_ten_thousand_subscriptions_and_selectors_leave_no_memory_behind() -> None:
    store = Store(0, replace)
    subject = store.select(lambda s: s)

    def churn(times: int) -> None:
        for _ in range(times):
            subject.subscribe(lambda v: None).dispose()
            store.select(lambda s: s + 1).subscribe(lambda v: None).dispose()

    tracemalloc.start()
    try:
        churn(200)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        churn(10_000)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 10_000, "less than one byte per pair"


def test_disposing_during_a_delivery_silences_at_once_and_disturbs_nobody() -> None:
    store = Store(0, replace)
    n = store.select(lambda s: s)
    log: list[tuple[str, int]] = []

    def on_next(value: int) -> None:
        log.append(("first", value))
        if value == 1:
            second.dispose()
            first.dispose()
            first.dispose()

    first = n.subscribe(on_next)
    second = n.subscribe(lambda v: log.append(("second", v)))
    n.subscribe(lambda v: log.append(("third", v)))
    log.clear()
    store.dispatch(1)
    store.dispatch(2)
    assert log == [("first", 1), ("third", 1), ("third", 2)]


def test_an_observer_disposed_at_completion_hears_nothing_of_it() -> None:
    store = Store(0, replace)
    n = store.select(lambda s: s)
    log: list[str] = []
    n.subscribe(None, None, lambda: other.dispose())
    other = n.subscribe(None, None, lambda: log.append("end"))
    store.close()
    assert log == []


def test_observer_objects_and_composite_disposables_work() -> None:
    store = Store(0, replace)
    log: list[object] = []
    observer: Observer[int] = Observer(log.append, None, lambda: log.append("end"))
    everything = CompositeDisposable(store.select(lambda s: -s).subscribe(log.append))
    store.select(lambda s: s).subscribe(observer)
    with everything:
        store.dispatch(1)
    store.dispatch(2)
    store.close()
    assert log == [0, 0, -1, 1, 2, "end"]


def test_async_observers_are_refused_with_advice() -> None:
    store: Store[int, int] = Store(0, replace)
    n: StateSubject[int] = store.select(lambda s: s)

    async def function(value: int) -> None: ...

    async def generator(value: int) -> Any:
        yield value

    class Callable:
        async def __call__(self, value: int) -> None: ...

        async def method(self, value: int) -> None: ...

    candidates: list[Any] = [
        function,
        generator,
        functools.partial(function),
        functools.partial(functools.partial(Callable())),
        Callable(),
        Callable().method,
    ]
    for candidate in candidates:
        with pytest.raises(AsyncObserverError, match=r"perform\(.*subject.changes\(\)"):
            n.subscribe(candidate)
        with pytest.raises(AsyncObserverError):
            n.subscribe(None, None, candidate)
        with pytest.raises(AsyncObserverError, match="selector is not awaited"):
            store.select(candidate)
    fine_ones: list[Any] = [print, functools.partial(print), [].append, None, int]
    for fine in fine_ones:
        n.subscribe(fine).dispose()


def test_a_repr_shows_the_value_and_no_more_of_it_than_a_log_can_bear() -> None:
    subject = Store("lobby", lambda _, item: item).select(lambda s: s, name="room")
    subject.subscribe(lambda v: None)
    assert repr(subject) == "<StateSubject 'room': 'lobby', 1 observers>"
    assert (
        len(repr(Store("x" * 10_000, lambda _, item: item).select(lambda s: s, name="long"))) < 300
    )


def test_a_notebook_shows_a_value_by_its_own_form() -> None:
    class Shown:
        def _repr_html_(self) -> str:
            return "<b>it</b>"

    def form_of(value: object) -> str | None:
        return Store(value, lambda _, item: item).select(lambda s: s)._repr_html_()

    assert form_of(Shown()) == "<b>it</b>"
    assert form_of((Shown(), Shown())) == "<b>it</b><br><b>it</b>"
    assert form_of(("plain", Shown())) is form_of(()) is form_of(5) is None


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_is_alive_is_not_copied(copied: Callable[[object], object]) -> None:
    store = Store(0, replace)
    n = store.select(lambda s: s)
    behind = n.pipe(ops.map(str))
    events: EventStream[int] = EventStream()
    for alive in (store, n, behind, n.changes(), events):
        with pytest.raises(TypeError, match=f"this {type(alive).__name__} is alive .* take "):
            copied(alive)


def test_rxpy_operators_compose() -> None:
    store = Store(0, replace)
    n, square = store.select(lambda s: s), store.select(lambda s: s * s)
    log: dict[str, list[Any]] = {name: [] for name in ("pairs", "scan", "latest", "take", "flat")}
    n.pipe(ops.pairwise()).subscribe(log["pairs"].append)
    n.pipe(ops.scan(operator.add, 0)).subscribe(log["scan"].append)
    n.pipe(ops.with_latest_from(square)).subscribe(log["latest"].append)
    n.pipe(ops.take(2)).subscribe(log["take"].append)
    n.pipe(ops.flat_map(lambda v: square.pipe(ops.take(1)))).subscribe(log["flat"].append)
    for item in (1, 2):
        store.dispatch(item)
    assert log["pairs"] == [(0, 1), (1, 2)]
    assert log["scan"] == [0, 1, 3]
    assert log["take"] == [0, 1]
    assert log["flat"] == [0, 1, 4]
    assert [pair[0] for pair in log["latest"]] == [0, 1, 2]
    done: list[str] = []
    n.pipe(ops.last()).subscribe(lambda v: done.append(f"last {v}"), None, lambda: done.append("."))
    store.close()
    assert done == ["last 2", "."]
    assert n.pipe(ops.map(str)).run() == "2"


def test_subscribing_and_disposing_on_many_threads_while_another_feeds() -> None:
    store = Store(0, replace)
    n = store.select(lambda s: s)
    wrong: list[list[int]] = []

    def churn() -> None:
        for _ in range(200):
            seen: list[int] = []
            n.subscribe(seen.append).dispose()
            if not seen or seen != sorted(set(seen)):
                wrong.append(seen)

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    for item in range(1, 2000):
        store.dispatch(item)
    for thread in threads:
        thread.join()
    store.dispatch(-1)
    assert wrong == []
    assert n.value == -1
    assert repr(n).endswith("0 observers>")


def test_the_first_observer_is_noticed_and_whether_there_is_one() -> None:
    noticed: list[bool] = []
    store: Store[int, int] = Store(
        0, lambda state, item: item, on_observed=lambda: noticed.append(store.is_observed)
    )
    number, text = store.select(lambda n: n), store.select(str)
    assert not store.is_observed
    for _ in range(2):
        first, second = number.subscribe(), text.subscribe()
        assert store.is_observed
        first.dispose()
        assert store.is_observed
        second.dispose()
        assert not store.is_observed
    assert noticed == [True, True]
    store.close()
    number.subscribe()
    assert (noticed, store.is_observed) == ([True, True], False)
