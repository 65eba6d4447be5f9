"""Each hazard of docs/state.md, "The eight promises": stock `BehaviorSubject` has it,
`StateSubject` has not.

The stock half of every test is a strict xfail: should RxPY mend a hazard, this file says so.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject

from utd_rx.state import Store


def times_ten(value: int) -> int:
    return value * 10


def ten_over(value: int) -> int:
    return 10 // value


Emit = Callable[[Any], object]
Rig = Callable[[], tuple[BehaviorSubject[Any], Emit, Callable[[], object]]]


def stock() -> tuple[BehaviorSubject[Any], Emit, Callable[[], object]]:
    subject: BehaviorSubject[Any] = BehaviorSubject(0)
    return subject, subject.on_next, subject.on_completed


def ours() -> tuple[BehaviorSubject[Any], Emit, Callable[[], object]]:
    store: Store[Any, Any] = Store(0, lambda _, item: item)
    return store.select(lambda s: s, name="n"), store.dispatch, store.close


both = pytest.mark.parametrize(
    "rig",
    [pytest.param(stock, marks=pytest.mark.xfail(strict=True, reason="hazard of RxPY")), ours],
)


@both
def test_a_raising_subscriber_does_not_raise_into_the_producer(rig: Rig) -> None:
    subject, emit, _ = rig()
    subject.subscribe(lambda v: 1 // (1 - v) and None)
    seen: list[int] = []
    subject.subscribe(seen.append)
    emit(1)
    assert seen[-1] == 1


@both
def test_later_subscribers_do_not_miss_the_value_somebody_raised_at(rig: Rig) -> None:
    subject, emit, _ = rig()
    seen: list[int] = []
    subject.subscribe(lambda v: 1 // (1 - v) and None)
    subject.subscribe(seen.append)
    with contextlib.suppress(ZeroDivisionError):
        emit(1)
    assert seen == [0, 1]


@both
def test_a_raise_at_subscription_reaches_neither_on_error_nor_the_subscriber(rig: Rig) -> None:
    subject, _, _ = rig()
    errors: list[Exception] = []
    subject.subscribe(lambda v: 1 // v and None, errors.append)
    assert errors == []


@both
def test_reentrancy_does_not_reorder(rig: Rig) -> None:
    subject, emit, _ = rig()
    seen: list[int] = []

    def on_next(value: int) -> None:
        if value == 1:
            emit(2)

    subject.subscribe(on_next)
    subject.subscribe(seen.append)
    emit(1)
    assert seen == [0, 1, 2]
    assert seen[-1] == subject.value


@both
def test_the_value_is_the_one_being_delivered(rig: Rig) -> None:
    subject, emit, _ = rig()
    torn: list[tuple[int, int]] = []

    def on_next(value: int) -> None:
        if value == 1:
            emit(2)
        if subject.value != value:
            torn.append((value, subject.value))

    subject.subscribe(on_next)
    emit(1)
    assert torn == []


@both
def test_two_producers_do_not_interleave(rig: Rig) -> None:
    subject, emit, _ = rig()
    seen: list[int] = []
    in_first = threading.Event()
    second_done = threading.Event()

    def slow(value: int) -> None:
        if value == 1:
            in_first.set()
            assert second_done.wait(10)

    def produce_second() -> None:
        assert in_first.wait(10)
        emit(2)
        second_done.set()

    subject.subscribe(slow)
    subject.subscribe(seen.append)
    thread = threading.Thread(target=produce_second)
    thread.start()
    emit(1)
    thread.join(10)
    assert seen == [0, 1, 2]


@both
def test_a_late_subscriber_gets_the_last_value(rig: Rig) -> None:
    subject, emit, complete = rig()
    emit(1)
    complete()
    log: list[object] = []
    subject.subscribe(log.append, None, lambda: log.append("end"))
    assert log == [1, "end"]


@both
def test_equal_values_are_not_repeated(rig: Rig) -> None:
    subject, emit, _ = rig()
    seen: list[int] = []
    subject.subscribe(seen.append)
    emit(0)
    assert seen == [0]


@both
def test_a_coroutine_function_is_not_accepted_as_observer(rig: Rig) -> None:
    subject, _, _ = rig()

    async def on_next(value: int) -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # stock drops the coroutine, unawaited
        with pytest.raises(TypeError, match="changes"):
            subject.subscribe(on_next)  # type: ignore[arg-type] # what the test is about


@both
def test_nobody_else_can_write(rig: Rig) -> None:
    subject, _, _ = rig()
    with pytest.raises(TypeError):
        subject.on_next(1)


@both
def test_a_subscriber_cannot_end_it_for_all(rig: Rig) -> None:
    subject, _, _ = rig()
    with pytest.raises(TypeError):
        subject.dispose()


def tagged_one(value: int) -> dict[str, int]:
    return {"one": value}


def tagged_ten(value: int) -> dict[str, int]:
    return {"ten": times_ten(value)}


def sum_up(known: dict[str, int], news: dict[str, int]) -> dict[str, int]:
    return known | news


@both
def test_a_diamond_does_not_tear(rig: Rig) -> None:
    subject, emit, _ = rig()
    seen: list[tuple[int, int]] = []
    reactivex.combine_latest(subject, subject.pipe(ops.map(times_ten))).subscribe(seen.append)
    emit(2)
    assert seen == [(0, 0), (2, 20)]


@both
def test_a_diamond_that_is_reduced_does_not_tear(rig: Rig) -> None:
    subject, emit, _ = rig()
    seen: list[dict[str, int]] = []
    merged = reactivex.merge(subject.pipe(ops.map(tagged_one)), subject.pipe(ops.map(tagged_ten)))
    merged.pipe(ops.scan(sum_up, dict[str, int]())).subscribe(seen.append)
    emit(2)
    assert seen[2:] == [{"one": 2, "ten": 20}]


def test_an_exception_in_map_ends_that_chain_alone_and_a_raising_selector_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store: Store[int, int] = Store(1, lambda _, item: item)
    n = store.select(lambda v: v)
    mapped: list[int] = []
    selected: list[int] = []
    errors: list[Exception] = []
    n.pipe(ops.map(ten_over)).subscribe(mapped.append, errors.append)
    store.select(ten_over, name="ratio").subscribe(selected.append)
    for item in (0, 5):
        store.dispatch(item)
    assert mapped == [10]  # RxPY's rule: an operator that raises ends its subscription
    assert len(errors) == 1
    assert selected == [10, 2]
    assert "the selector of 'ratio' raised" in caplog.text
