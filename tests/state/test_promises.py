"""The eight promises of docs/state.md, each by name."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject

from utd_rx.state import ReadOnlySubjectError, StateSubject, Store, combine_state


class Pair(NamedTuple):
    a: int = 0
    b: int = 0


def pair_store() -> tuple[Store[Pair, Pair], StateSubject[int], StateSubject[int]]:
    store: Store[Pair, Pair] = Store(Pair(), lambda _, item: item)
    return store, store.select(lambda s: s.a, name="a"), store.select(lambda s: s.b, name="b")


def counter() -> tuple[Store[int, int], StateSubject[int]]:
    store: Store[int, int] = Store(0, lambda _, item: item)
    return store, store.select(lambda n: n, name="n")


def raise_at(bad: int) -> Callable[[int], None]:
    def on_next(value: int) -> None:
        if value == bad:
            raise ValueError(value)

    return on_next


def plus_one(value: int) -> int:
    return value + 1


# 1. Subscribing delivers the current value at once, exactly once.


def test_1_subscribing_delivers_the_current_value_once() -> None:
    store, n = counter()
    store.dispatch(7)
    seen: list[int] = []
    n.subscribe(seen.append)
    assert seen == [7]


def test_1_subscribing_during_a_delivery_gives_neither_a_gap_nor_a_duplicate() -> None:
    store, n = counter()
    early: list[int] = []
    late: list[int] = []

    def on_next(value: int) -> None:
        early.append(value)
        if value == 1:
            store.dispatch(2)
            n.subscribe(late.append)

    n.subscribe(on_next)
    store.dispatch(1)
    store.dispatch(3)
    assert early == [0, 1, 2, 3]
    assert late == [1, 2, 3]


def test_1_a_subscriber_on_another_thread_is_served_at_once_during_a_delivery() -> None:
    store, n = counter()
    seen: list[int] = []

    def on_next(value: int) -> None:
        if value == 1:
            thread = threading.Thread(target=n.subscribe, args=(seen.append,))
            thread.start()
            thread.join(10)
            assert seen == [1], "the subscriber waits for a callback of another thread"

    n.subscribe(on_next)
    store.dispatch(1)
    store.dispatch(2)
    assert seen == [1, 2]


def test_1_a_callback_subscribes_to_cold_observables_without_a_trampoline_in_its_way() -> None:
    _, n = counter()
    seen: list[int] = []

    def on_next(value: int) -> None:
        n.pipe(ops.map(plus_one)).subscribe(seen.append)
        assert seen == [1]

    n.subscribe(on_next)
    assert seen == [1]


# 2. Values equal to the current one are not emitted.


def test_2_equal_values_are_not_emitted() -> None:
    store, a, b = pair_store()
    seen: list[tuple[str, int]] = []
    a.subscribe(lambda v: seen.append(("a", v)))
    b.subscribe(lambda v: seen.append(("b", v)))
    store.dispatch(Pair(1, 0))
    store.dispatch(Pair(1, 0))
    store.dispatch(Pair(1, 2))
    assert seen == [("a", 0), ("b", 0), ("a", 1), ("b", 2)]


def test_2_an_array_is_compared_by_identity() -> None:
    numpy = pytest.importorskip("numpy")
    first, second = numpy.zeros(3), numpy.zeros(3)
    store: Store[Any, Any] = Store(first, lambda _, item: item)
    seen: list[Any] = []
    store.select(lambda s: s).subscribe(seen.append)
    for item in (first, second, second, numpy.zeros((0,)), numpy.ones(1)):
        store.dispatch(item)
    assert [id(v) for v in seen[:2]] == [id(first), id(second)]
    assert len(seen) == 4
    scalars: Store[Any, Any] = Store(numpy.float64(1), lambda _, item: item)
    seen.clear()
    scalars.select(lambda s: s).subscribe(seen.append)
    scalars.dispatch(numpy.float64(1))
    assert len(seen) == 1


def test_2_a_raising_comparison_counts_as_a_change() -> None:
    class Odd:
        __hash__ = None  # type: ignore[assignment] # as mypy wants it for a class with __eq__

        def __eq__(self, other: object) -> bool:
            raise ValueError("not comparable")

    one, two = Odd(), Odd()
    store: Store[Odd, Odd] = Store(one, lambda _, item: item)
    seen: list[Odd] = []
    store.select(lambda s: s).subscribe(seen.append)
    store.dispatch(one)
    store.dispatch(two)
    assert [id(v) for v in seen] == [id(one), id(two)]


# 3. The same values in the same order for every observer.


def test_3_a_reentrant_dispatch_reaches_every_observer_in_order() -> None:
    store, n = counter()
    first: list[int] = []
    second: list[int] = []

    def on_next(value: int) -> None:
        first.append(value)
        if value == 1:
            store.dispatch(2)
            assert n.value == 1
            store.dispatch(3)

    n.subscribe(on_next)
    n.subscribe(second.append)
    store.dispatch(1)
    assert first == second == [0, 1, 2, 3]
    assert n.value == 3


def test_3_several_feeding_threads_give_one_order() -> None:
    store: Store[tuple[int, ...], int] = Store((), lambda state, item: (*state, item))
    last = store.select(lambda s: s[-1] if s else -1, name="last")
    sizes = store.select(len, name="size")
    logs: list[list[int]] = [[], [], []]
    inside = 0

    def observe(log: list[int]) -> Callable[[int], None]:
        def on_next(value: int) -> None:
            nonlocal inside
            inside += 1
            assert inside == 1, "two callbacks at once"
            log.append(value)
            inside -= 1

        return on_next

    last.subscribe(observe(logs[0]))
    last.subscribe(observe(logs[1]))
    sizes.subscribe(observe(logs[2]))
    start = threading.Barrier(4)

    def feed(k: int) -> None:
        start.wait()
        for i in range(300):
            store.dispatch(1000 * k + i)

    threads = [threading.Thread(target=feed, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logs[0] == logs[1] == [-1, *store.state]
    assert logs[2] == list(range(1201))
    for k in range(4):
        assert [i for i in store.state if i // 1000 == k] == [1000 * k + i for i in range(300)]
    assert last.value == logs[0][-1]


def test_3_no_thread_waits_for_the_callback_of_another() -> None:
    store, n = counter()
    seen: list[int] = []

    def on_next(value: int) -> None:
        seen.append(value)
        if value == 1:
            thread = threading.Thread(target=store.dispatch, args=(2,))
            thread.start()
            thread.join(10)
            assert not thread.is_alive()
            assert n.value == 1

    n.subscribe(on_next)
    store.dispatch(1)
    assert seen == [0, 1, 2]


# 4. One commit is atomic.


def test_4_inside_a_callback_every_value_is_of_one_version() -> None:
    store, a, b = pair_store()
    unobserved = store.select(lambda s: s.a + s.b, name="sum")
    seen: list[tuple[int, int, int, Pair, int]] = []

    def on_next(_: int) -> None:
        if store.version < 3:
            store.dispatch(Pair(a.value + 1, b.value + 10))
        seen.append((a.value, b.value, unobserved.value, store.state, store.version))

    a.subscribe(on_next)
    b.subscribe(on_next)
    assert seen[0] == (0, 0, 0, Pair(0, 0), 0)
    for a_value, b_value, total, state, version in seen:
        assert state == (a_value, b_value)
        assert total == a_value + b_value
        assert b_value == 10 * a_value
        assert a_value <= version


def test_4_a_foreign_subscriber_pins_the_version_until_its_callback_returns() -> None:
    store, a, b = pair_store()
    entered, dispatched = threading.Event(), threading.Event()
    seen: list[tuple[int, int]] = []

    def on_next(value: int) -> None:
        before = b.value
        entered.set()
        assert dispatched.wait(10)
        seen.append((value, b.value))
        assert b.value == before

    thread = threading.Thread(target=a.subscribe, args=(on_next,))
    thread.start()
    assert entered.wait(10)
    store.dispatch(Pair(1, 1))  # returns at once; the subscribing thread will publish it
    dispatched.set()
    thread.join(10)
    assert seen == [(0, 0), (1, 1)]


def test_4_combined_state_is_never_torn() -> None:
    store, a, b = pair_store()
    both = combine_state(a, b)
    seen: list[tuple[int, int]] = []
    both.subscribe(seen.append)
    for i in range(1, 4):
        store.dispatch(Pair(i, i * 10))
    assert seen == [(0, 0), (1, 10), (2, 20), (3, 30)]


# 5. An observer that raises is reported and disturbs nobody.


def test_5_a_raising_observer_is_reported_and_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, n = counter()
    before: list[int] = []
    raising: list[int] = []
    after: list[int] = []

    def on_next(value: int) -> None:
        raising.append(value)
        if value in (0, 1):
            raise ValueError("mine")

    n.subscribe(before.append)
    n.subscribe(on_next)  # raises at once: still subscribed
    n.subscribe(after.append)
    store.dispatch(1)
    store.dispatch(2)
    assert before == raising == after == [0, 1, 2]
    records = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(records) == 2
    assert all(r.name == "utd_rx.state" and r.exc_info for r in records)


async def test_5_the_running_loop_hears_of_it() -> None:
    contexts: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))
    store, n = counter()
    n.subscribe(raise_at(0))
    store.dispatch(0)
    assert [type(c["exception"]) for c in contexts] == [ValueError]


def test_5_an_interrupt_is_raised_when_everybody_has_been_served() -> None:
    store, n = counter()
    seen: list[int] = []

    def interrupted(value: int) -> None:
        if value == 1:
            store.dispatch(2)
            raise KeyboardInterrupt

    n.subscribe(interrupted)
    n.subscribe(seen.append)
    with pytest.raises(KeyboardInterrupt):
        store.dispatch(1)
    store.dispatch(3)
    assert seen == [0, 1, 2, 3]


def test_5_an_interrupt_in_phase_one_leaves_the_commit_to_the_next() -> None:
    interrupts = [KeyboardInterrupt]

    def interrupted(value: int) -> int:
        if value == 1 and interrupts:
            raise interrupts.pop()
        return value

    store, n = counter()
    before: list[int] = []
    after: list[int] = []
    ends: list[str] = []
    n.subscribe(before.append, None, lambda: ends.append("end"))
    store.select(interrupted).subscribe(after.append)
    with pytest.raises(KeyboardInterrupt):
        store.dispatch(1)
    assert (store.state, store.version, n.value) == (0, 0, 0)
    store.dispatch(2)
    store.close()
    assert before == after == [0, 1, 2]
    assert ends == ["end"]


def test_5_an_interrupt_at_subscription_leaves_no_observer_behind() -> None:
    store, n = counter()
    seen: list[int] = []

    def interrupted(value: int) -> None:
        seen.append(value)
        if value == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        n.subscribe(interrupted)
    store.dispatch(1)
    assert seen == [0]
    assert repr(n).endswith("0 observers>")


def test_5_an_interrupt_between_two_callbacks_leaves_no_store_stuck() -> None:
    class Name(str):
        """While it is put into the report, somebody presses Ctrl-C."""

        __slots__ = ()

        def __repr__(self) -> str:
            raise KeyboardInterrupt

    store, n = counter()
    seen: list[int] = []
    n.subscribe(seen.append)
    store.select(lambda s: s, name=Name("named")).subscribe(raise_at(1))
    with pytest.raises(KeyboardInterrupt):
        store.dispatch(1)
    store.dispatch(2)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
def test_5_only_an_interrupt_of_the_program_is_more_than_the_observers_own_error(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def raising(*values: int) -> Any:
        if values != (9,):
            raise error
        return 9

    store: Store[int, int] = Store(9, lambda _, item: item)
    n = store.select(lambda n: n, name="n")
    seen: list[object] = []
    store.select(raising, name="selector").subscribe(seen.append)
    n.subscribe(raising, None, raising)
    n.subscribe(lambda v: seen.append(-v), None, lambda: seen.append("end"))
    store.dispatch(1)
    store.dispatch(2)
    n.subscribe(raising)
    store.close()
    n.subscribe(None, None, raising)
    assert seen == [9, -9, -1, -2, "end"]
    assert caplog.text.count("raised: " + error.__name__) == 6


def test_5_the_report_names_an_observer_that_has_gone(caplog: pytest.LogCaptureFixture) -> None:
    store, n = counter()

    def departing(value: int) -> None:
        if value == 1:
            subscription.dispose()
            raise ValueError(value)

    def at_the_end() -> None:
        raise ValueError("at the end")

    subscription = n.subscribe(departing)
    n.subscribe(None, None, at_the_end)
    store.dispatch(1)
    store.close()
    n.subscribe(None, None, at_the_end)
    names = [message.partition(" (")[0].rpartition(".")[-1] for message in caplog.messages]
    assert names == ["departing", "at_the_end", "at_the_end"]


def test_5_a_broken_log_handler_breaks_no_delivery(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise OSError("disk full")

    handler = Broken()
    logging.getLogger("utd_rx.state").addHandler(handler)
    try:
        store, n = counter()
        seen: list[int] = []
        n.subscribe(raise_at(1))
        n.subscribe(seen.append)
        with pytest.raises(OSError, match="disk full"):
            store.dispatch(1)
        store.dispatch(2)
    finally:
        logging.getLogger("utd_rx.state").removeHandler(handler)
    assert seen == [0, 1, 2]


# 6. Writing from outside raises.


@pytest.mark.parametrize(
    "write",
    [
        lambda s: s.on_next(1),
        lambda s: s.on_error(ValueError()),
        lambda s: s.on_completed(),
        lambda s: s.dispose(),
        lambda s: setattr(s, "value", 1),
        lambda s: s.fail(ValueError()),
        lambda s: s.as_observer().on_next(1),
        lambda s: BehaviorSubject(1).subscribe(s),
        lambda s: BehaviorSubject.on_next(s, 1),
    ],
)
def test_6_writing_from_outside_raises(write: Callable[[Any], object]) -> None:
    store, n = counter()
    seen: list[int] = []
    n.subscribe(seen.append)
    with pytest.raises((ReadOnlySubjectError, AttributeError)):
        write(n)
    store.dispatch(5)
    assert (seen, n.value) == ([0, 5], 5)


def test_6_it_is_a_behavior_subject_all_the_same() -> None:
    _, n = counter()
    assert isinstance(n, BehaviorSubject)


# 7. Nothing ever calls on_error.


def test_7_nothing_ever_calls_on_error(caplog: pytest.LogCaptureFixture) -> None:
    store: Store[int, int] = Store(1, lambda state, item: state // item)
    n = store.select(lambda s: 10 // s, name="n")
    errors: list[Exception] = []

    def on_next(value: int) -> None:
        raise ValueError("from the observer")

    n.subscribe(on_next, errors.append)
    with pytest.raises(ZeroDivisionError):
        store.dispatch(0)  # the step raises: to the dispatcher
    store.dispatch(2)  # 1 // 2 == 0, so the selector raises: reported
    store.close()
    assert errors == []
    assert "selector" in caplog.text


# 8. After close the stream completes and stays readable.


def test_8_after_close_values_stay_and_late_subscribers_are_served() -> None:
    store, n = counter()
    log: list[object] = []
    n.subscribe(log.append, None, lambda: log.append("end"))
    unobserved = store.select(lambda s: -s, name="minus")
    store.dispatch(4)
    store.close()
    store.close()
    assert log == [0, 4, "end"]
    assert (n.value, unobserved.value) == (4, -4)
    for subject in (n, unobserved):
        log.clear()
        subject.subscribe(log.append, None, lambda: log.append("end"))
        assert log == [subject.value, "end"]


def test_8_commits_made_before_close_are_delivered_before_completion() -> None:
    store, n = counter()
    log: list[object] = []

    def on_next(value: int) -> None:
        log.append(value)
        if value == 1:
            store.dispatch(2)
            store.close()

    n.subscribe(on_next, None, lambda: log.append("end"))
    store.dispatch(1)
    assert log == [0, 1, 2, "end"]


def test_8_a_raising_on_completed_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    store, n = counter()
    log: list[str] = []

    def raising() -> None:
        raise ValueError("at the end")

    n.subscribe(None, None, raising)
    n.subscribe(None, None, lambda: log.append("end"))
    store.close()
    n.subscribe(None, None, raising)
    n.subscribe(None, None, lambda: log.append("late end"))
    assert log == ["end", "late end"]
    assert caplog.text.count("ValueError: at the end") == 2
