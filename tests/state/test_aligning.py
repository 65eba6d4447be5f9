"""RxPY's own joining operators over streams of one store show what was, once per commit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject, Subject

from tests.state.trio import Trio, joined, same, tagged, trio, with_a
from utd_rx.errors import UTDStreamException
from utd_rx.state import Store, became, combine_state

Program = Callable[[Any, Any, Any], Observable[Any]]


def minus(value: Any) -> Any:
    return -value


def plus(total: Any, value: Any) -> Any:
    return total + value


# What each shows of the commits (1, 1, 1), (2, 2, 2), (3, 2, 2) behind (0, 0, 0).
PROGRAMS: dict[str, tuple[Program, list[Any]]] = {
    "combine_latest": (
        lambda a, b, c: rx.combine_latest(a, b, c),
        [(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 2, 2)],
    ),
    "of streams behind operators": (
        lambda a, b, c: rx.combine_latest(
            a.pipe(ops.map(same)), b.pipe(ops.do_action(print), ops.filter(bool))
        ),
        [(1, 1), (2, 2), (3, 2)],
    ),
    "ops.combine_latest": (
        lambda a, b, c: a.pipe(ops.combine_latest(b), ops.map(list)),
        [[0, 0], [1, 1], [2, 2], [3, 2]],
    ),
    "the method": (lambda a, b, c: a.combine_latest(b), [(0, 0), (1, 1), (2, 2), (3, 2)]),
    "a stream with itself": (
        lambda a, b, c: rx.combine_latest(a, a.pipe(ops.map(minus))),
        [(0, 0), (1, -1), (2, -2), (3, -3)],
    ),
    "one in another": (
        lambda a, b, c: rx.combine_latest(c, rx.combine_latest(a, b)),
        [(0, (0, 0)), (1, (1, 1)), (2, (2, 2)), (2, (3, 2))],
    ),
    "one that is shared": (
        lambda a, b, c: (lambda shared: rx.combine_latest(c, shared))(
            rx.combine_latest(a, b).pipe(ops.share())
        ),
        [(0, (0, 0)), (1, (1, 1)), (2, (2, 2)), (2, (3, 2))],
    ),
    "of what completes": (
        lambda a, b, c: rx.combine_latest(a.pipe(ops.take(2)), b.pipe(ops.take(2))),
        [(0, 0), (1, 1)],
    ),
    "with_latest_from": (
        lambda a, b, c: a.pipe(ops.with_latest_from(b)),
        [(0, 0), (1, 1), (2, 2), (3, 2)],
    ),
    "the other way round": (
        lambda a, b, c: b.pipe(ops.map(same), ops.with_latest_from(a)),
        [(0, 0), (1, 1), (2, 2)],
    ),
    "from a combination": (
        lambda a, b, c: a.pipe(ops.with_latest_from(rx.combine_latest(b, c))),
        [(0, (0, 0)), (1, (1, 1)), (2, (2, 2)), (3, (2, 2))],
    ),
    "of a combination": (
        lambda a, b, c: rx.combine_latest(b, c).pipe(ops.with_latest_from(a)),
        [((0, 0), 0), ((1, 1), 1), ((2, 2), 2)],
    ),
    "merge and scan": (
        lambda a, b, c: joined(a, b),
        [{"a": 0, "b": 0}, {"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 3, "b": 2}],
    ),
    "sample": (
        lambda a, b, c: a.pipe(ops.sample(b)),
        [0, 1, 2],
    ),
    "switch_map": (
        lambda a, b, c: a.pipe(ops.switch_map(partial(with_a, b))),
        [(0, 0), (1, 1), (2, 2), (3, 2)],
    ),
    "with combine_state": (
        lambda a, b, c: rx.combine_latest(combine_state(a, b), c),
        [((0, 0), 0), ((1, 1), 1), ((2, 2), 2), ((3, 2), 2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("first", ["", "b", "cba"])
@pytest.mark.parametrize("case", PROGRAMS)
def test_each_commit_is_shown_once_and_as_it_was(case: str, first: str) -> None:
    program, expected = PROGRAMS[case]
    store, subjects = trio()
    for name in first:  # whoever observes them already, and so is served before
        subjects["abc".index(name)].subscribe(print)
    seen: list[Any] = []
    program(*subjects).subscribe(seen.append)
    for item in (Trio(1, 1, 1), Trio(2, 2, 2), Trio(3, 2, 2)):
        store.dispatch(item)
    assert seen == expected


def test_what_only_merges_shows_every_change() -> None:
    store, (a, b, _) = trio()
    seen: list[Any] = []
    rx.merge(tagged(a, "a"), tagged(b, "b")).subscribe(seen.append)
    store.dispatch(Trio(1, 1))
    assert seen == [{"a": 0}, {"b": 0}, {"a": 1}, {"b": 1}]


def test_of_a_combination_with_another_store_it_waits_too() -> None:
    store, (a, b, _) = trio()
    _, (x, _, _) = trio()
    seen: list[Any] = []
    a.subscribe(print)
    rx.combine_latest(a, x).pipe(ops.with_latest_from(b)).subscribe(seen.append)
    store.dispatch(Trio(1, 1))
    assert seen == [((0, 0), 0), ((1, 0), 1)]


def test_what_is_shared_does_not_tear_for_its_other_observers() -> None:
    store, (a, b, _) = trio()
    shared = a.pipe(ops.map(same), ops.share())
    diamond: list[Any] = []
    later: list[Any] = []
    rx.combine_latest(shared, shared.pipe(ops.start_with(0), ops.map(minus))).subscribe(
        diamond.append
    )
    rx.combine_latest(shared.pipe(ops.start_with(0)), b).subscribe(later.append)
    for n in (1, 2):
        store.dispatch(Trio(n, n))
    assert diamond == [(0, 0), (1, -1), (2, -2)]
    assert later == [(0, 0), (1, 1), (2, 2)]


def test_several_values_of_one_commit_each_meet_the_latest() -> None:
    store, (a, b, _) = trio()
    seen: list[Any] = []
    a.flat_map(lambda n: rx.of(n, -n)).pipe(ops.with_latest_from(b)).subscribe(seen.append)
    store.dispatch(Trio(1, 2))
    assert seen == [(0, 0), (0, 0), (1, 2), (-1, 2)]


def test_a_scan_of_one_stream_keeps_every_value() -> None:
    store, (a, _, _) = trio()
    seen: list[int] = []
    counted = a.pipe(ops.flat_map(lambda n: rx.of(n, n)), ops.scan(plus, 0))
    counted.subscribe(seen.append)
    store.dispatch(Trio(1))
    assert seen == [0, 0, 1, 2]


@pytest.mark.parametrize(
    "program",
    [
        lambda a, b: rx.zip(a, b),
        lambda a, b: a.pipe(ops.zip(b.pipe(ops.map(str)))),
        lambda a, b: a.zip(b),
    ],
)
def test_zip_of_two_states_is_refused_and_leaves_nothing_behind(
    program: Callable[[Any, Any], Observable[Any]],
) -> None:
    _, (a, b, _) = trio()
    with pytest.raises(UTDStreamException, match=r"'a' and 'b'.* combine_state"):
        program(a, b).subscribe()
    errors: list[Exception] = []
    program(a, b).subscribe(on_error=errors.append)
    assert "combine_latest" in str(errors[0])
    assert "0 observers" in repr(a)
    assert "0 observers" in repr(b)


def test_zip_with_what_comes_later_of_the_same_or_with_other_things_is_not() -> None:
    store, (a, b, _) = trio()
    other, _ = trio()
    pairs: list[Any] = []
    rx.zip(a, a.pipe(ops.skip(1))).subscribe(pairs.append)
    rx.zip(a.pipe(became(1)), b.pipe(became(1))).subscribe(pairs.append)
    rx.zip(a, other.select(lambda s: s.a), rx.of("once")).subscribe(pairs.append)
    store.dispatch(Trio(1, 1))
    assert pairs == [(0, 0, "once"), (0, 1), (1, 1)]


def test_what_is_held_is_not_shown_to_who_has_gone() -> None:
    store, (a, b, _) = trio()
    seen: list[Any] = []
    subscription = rx.combine_latest(a, b).subscribe(seen.append)
    b.subscribe(lambda value: subscription.dispose() if value else None)
    store.dispatch(Trio(1, 1))
    assert seen == [(0, 0)]


def test_an_observer_behind_a_join_that_raises_is_reported_by_its_streams(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, (a, b, _) = trio()
    seen: list[Any] = []

    def fail(pair: Any) -> None:
        if pair == (1, 1):
            raise ValueError("mine")

    rx.combine_latest(a, b).subscribe(fail)
    rx.combine_latest(b, a).subscribe(seen.append)
    store.dispatch(Trio(1, 1))
    store.dispatch(Trio(2, 2))
    assert seen == [(0, 0), (1, 1), (2, 2)]
    assert [record.message.split(" (")[0] for record in caplog.records] == [
        f"an observer of 'a, b' raised: ValueError in {__name__}."
        "test_an_observer_behind_a_join_that_raises_is_reported_by_its_streams.<locals>.fail"
    ]


def test_what_dispatches_behind_a_join_is_shown_after_it() -> None:
    store, (a, b, _) = trio()
    seen: list[Any] = []

    def on_next(pair: tuple[int, int]) -> None:
        seen.append((pair, a.value, b.value))
        if pair == (1, 1):
            store.dispatch(Trio(2, 2))

    rx.combine_latest(a, b).subscribe(on_next)
    store.dispatch(Trio(1, 1))
    assert seen == [((n, n), n, n) for n in range(3)]


def test_subscribed_during_a_commit_it_shows_that_one_once() -> None:
    store, (a, b, _) = trio()
    seen: list[Any] = []

    def on_next(value: int) -> None:
        if value == 1:
            rx.combine_latest(a, b).subscribe(seen.append)

    a.subscribe(on_next)
    store.dispatch(Trio(1, 1))
    store.dispatch(Trio(2, 2))
    assert seen == [(1, 1), (2, 2)]


def test_a_commit_of_one_store_during_one_of_another() -> None:
    store, (a, b, _) = trio()
    other, (x, _, _) = trio()
    seen: list[Any] = []
    a.subscribe(lambda n: other.dispatch(Trio(n)))
    rx.combine_latest(x, a, b).subscribe(seen.append)
    store.dispatch(Trio(1, 1))
    assert seen == [(0, 0, 0), (1, 1, 1)]


def test_a_combination_of_stores_beside_one_of_its_own() -> None:
    store, (a, b, _) = trio()
    _, (x, _, _) = trio()
    seen: list[Any] = []
    rx.combine_latest(b, combine_state(a, x)).subscribe(seen.append)
    store.dispatch(Trio(1, 1))
    assert seen == [(0, (0, 0)), (1, (1, 0))]


def test_streams_that_are_not_states_are_joined_as_by_rxpy() -> None:
    store, (a, _, _) = trio()
    left, right, seen = BehaviorSubject(0), Subject[int](), list[Any]()
    rx.combine_latest(left, right).subscribe(seen.append)

    def on_next(value: int) -> None:
        right.on_next(value)
        left.on_next(value)

    a.subscribe(on_next)
    store.dispatch(Trio(1))
    assert seen == [(0, 0), (0, 0), (0, 1), (1, 1)]


def test_after_the_end_the_last_values_are_joined_and_it_completes() -> None:
    store, (a, b, _) = trio()
    store.dispatch(Trio(1, 1))
    log: list[Any] = []
    rx.combine_latest(a, b).subscribe(log.append, on_completed=lambda: log.append("end"))
    store.close()
    rx.combine_latest(a, b).subscribe(log.append, on_completed=lambda: log.append("end"))
    assert log == [(1, 1), "end", (1, 1), "end"]


def test_of_stores_fed_by_several_threads_the_last_values_come_last() -> None:
    stores = [trio() for _ in range(3)]
    seen: list[Any] = []
    rx.combine_latest(*(stream for _, (a, b, _) in stores for stream in (a, b))).subscribe(
        seen.append
    )

    def feed(store: Store[Trio, Trio]) -> None:
        for n in range(1, 201):
            store.dispatch(Trio(n, n))

    threads = [threading.Thread(target=feed, args=(store,)) for store, _ in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "deadlock"
    assert seen[-1] == (200,) * 6
    assert len(seen) <= 1 + 3 * 200
