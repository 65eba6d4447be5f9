"""`combine_state`: one commit, one tuple; several stores, no torn store."""

from __future__ import annotations

import itertools
import threading
from typing import Any, NamedTuple

import pytest

from utd_rx.state import ImpureStepError, StateSubject, Store, combine_state
from utd_rx.state.core import Core


class Pair(NamedTuple):
    a: int = 0
    b: int = 0


def pair_store() -> tuple[Store[Pair, Pair], StateSubject[int], StateSubject[int]]:
    store: Store[Pair, Pair] = Store(Pair(), lambda _, item: item)
    return store, store.select(lambda s: s.a, name="a"), store.select(lambda s: s.b, name="b")


def number_store() -> tuple[Store[int, int], StateSubject[int]]:
    store: Store[int, int] = Store(0, lambda _, item: item)
    return store, store.select(lambda n: n, name="n")


def counting(store: Store[Any, Any]) -> tuple[StateSubject[Any], list[Any]]:
    """A subject, and each state that it was computed from: none while nobody observes it."""
    computed: list[Any] = []

    def select(state: Any) -> Any:
        computed.append(state)
        return state

    return store.select(select, name="counting"), computed


def test_within_one_store_a_combination_emits_once_per_commit() -> None:
    store, a, b = pair_store()
    nested = combine_state(combine_state(a, b), a)
    seen: list[Any] = []
    nested.subscribe(seen.append)
    for pair in (Pair(1, 1), Pair(1, 1), Pair(1, 2)):
        store.dispatch(pair)
    assert seen == [((0, 0), 0), ((1, 1), 1), ((1, 2), 1)]
    assert nested.name == "a, b, a"


def test_observing_a_combination_hides_no_change_from_its_parts() -> None:
    store, a, b = pair_store()
    seen: list[Any] = []
    combine_state(a, b).subscribe(seen.append)  # reads a and b before their turn comes
    a.subscribe(lambda v: seen.append(("a", v)))
    store.dispatch(Pair(1, 0))
    assert seen == [(0, 0), ("a", 0), (1, 0), ("a", 1)]


def test_arrays_inside_a_combination() -> None:
    numpy = pytest.importorskip("numpy")
    level, other = numpy.zeros(2), numpy.zeros(2)
    store: Store[Any, Any] = Store((level, 0), lambda _, item: item)
    both = combine_state(store.select(lambda s: s[0]), store.select(lambda s: s[1]))
    seen: list[Any] = []
    both.subscribe(seen.append)
    for item in ((level, 0), (level, 1), (other, 1)):
        store.dispatch(item)
    assert [(v is other, n) for v, n in seen] == [(False, 0), (False, 1), (True, 1)]


def test_across_stores_each_tuple_holds_one_version_of_each_store() -> None:
    store, a, b = pair_store()
    numbers, n = number_store()
    joint = combine_state(a, n, b)
    seen: list[tuple[int, int, int]] = []
    joint.subscribe(seen.append)
    store.dispatch(Pair(1, 1))
    numbers.dispatch(5)
    store.dispatch(Pair(2, 2))
    assert seen == [(0, 0, 0), (1, 0, 1), (1, 5, 1), (2, 5, 2)]


def test_a_nested_combination_across_stores_does_not_tear_either() -> None:
    store, a, b = pair_store()
    numbers, n = number_store()
    nested = combine_state(combine_state(a, n), b, combine_state(n, a))
    seen: list[Any] = []
    nested.subscribe(seen.append)
    store.dispatch(Pair(1, 1))
    numbers.dispatch(5)
    assert seen == [((0, 0), 0, (0, 0)), ((1, 0), 1, (0, 1)), ((1, 5), 1, (5, 1))]


def test_an_unobserved_combination_follows_and_costs_its_stores_nothing() -> None:
    store, a, _ = pair_store()
    numbers, n = number_store()
    joint = combine_state(a, n)
    store.dispatch(Pair(1, 1))
    assert joint.value == (1, 0)
    numbers.dispatch(2)
    assert joint.value == (1, 2)
    assert "0 observers" in repr(a)


def test_observed_twice_then_let_go_then_observed_again() -> None:
    (letters, _), (numbers, _) = number_store(), number_store()
    (a, from_letters), (n, from_numbers) = counting(letters), counting(numbers)
    joint = combine_state(a, n)
    seen: list[Any] = []
    first = joint.subscribe(seen.append)
    second = joint.subscribe(seen.append)
    letters.dispatch(1)
    first.dispose()
    numbers.dispatch(1)
    second.dispose()
    second.dispose()
    letters.dispatch(2)
    numbers.dispatch(2)
    assert (from_letters[-1], from_numbers[-1]) == (1, 1)
    joint.subscribe(seen.append)
    numbers.dispatch(3)
    assert seen == [(0, 0), (0, 0), (1, 0), (1, 0), (1, 1), (2, 2), (2, 3)]


def test_it_completes_when_all_stores_have_closed_and_stays_readable() -> None:
    store, a, _ = pair_store()
    numbers, n = number_store()
    observed, unobserved = combine_state(a, n), combine_state(n, a)
    log: list[Any] = []
    observed.subscribe(log.append, None, lambda: log.append("end"))
    store.close()
    numbers.dispatch(1)
    numbers.close()
    assert log == [(0, 0), (0, 1), "end"]
    for joint, value in ((observed, (0, 1)), (unobserved, (1, 0))):
        assert joint.value == value
        log.clear()
        joint.subscribe(log.append, None, lambda: log.append("end"))
        assert log == [value, "end"]


def test_inside_its_callback_the_value_is_what_was_delivered() -> None:
    store, a, _ = pair_store()
    numbers, n = number_store()
    joint = combine_state(a, n)
    seen: list[Any] = []

    def on_next(value: Any) -> None:
        if value == (1, 0):
            numbers.dispatch(9)
        assert joint.value == value
        seen.append(value)

    joint.subscribe(on_next)
    store.dispatch(Pair(1, 0))
    assert seen == [(0, 0), (1, 0), (1, 9)]


def test_stores_fed_by_different_threads() -> None:
    stores = [number_store() for _ in range(3)]
    joint = combine_state(*(n for _, n in stores))
    seen: list[Any] = []
    other: list[Any] = []
    joint.subscribe(seen.append)
    joint.subscribe(other.append)

    def feed(store: Store[int, int]) -> None:
        for i in range(1, 301):
            store.dispatch(i)

    threads = [threading.Thread(target=feed, args=(store,)) for store, _ in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == other
    assert len(seen) == 901
    assert seen[-1] == joint.value == (300, 300, 300)
    for before, after in itertools.pairwise(seen):
        assert sum(after) == sum(before) + 1
        assert all(x <= y for x, y in zip(before, after, strict=True))


def test_nothing_to_combine_is_an_error_and_one_subject_is_not() -> None:
    with pytest.raises(ValueError, match="at least one"):
        combine_state()
    _, a, _ = pair_store()
    assert combine_state(a, a).value == (0, 0)


def test_a_selector_that_observes_a_combination_is_refused_and_leaves_it_usable() -> None:
    store, a, _ = pair_store()
    _, n = number_store()
    joint = combine_state(a, n)

    def impure(state: Pair) -> int:
        joint.subscribe(print)
        return state.a

    with pytest.raises(ImpureStepError):
        store.select(impure)
    seen: list[Any] = []
    joint.subscribe(seen.append)
    store.dispatch(Pair(1, 1))
    assert seen == [(0, 0), (1, 0)]


def test_first_observers_on_many_threads_while_the_stores_are_fed() -> None:
    (one, _), (two, _) = number_store(), number_store()
    (n, from_one), (m, from_two) = counting(one), counting(two)
    joint = combine_state(n, m)
    wrong: list[Any] = []

    def churn() -> None:
        for _ in range(100):
            seen: list[Any] = []
            joint.subscribe(seen.append).dispose()
            if not seen or any(x > y for x, y in itertools.pairwise(sum(v) for v in seen)):
                wrong.append(seen)

    def feed(store: Store[int, int]) -> None:
        for i in range(1, 500):
            store.dispatch(i)

    jobs = [churn, churn, lambda: feed(one), lambda: feed(two)]
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "deadlock"
    assert wrong == []
    assert joint.value == (499, 499)
    one.dispatch(500)
    two.dispatch(500)
    assert (from_one[-1], from_two[-1]) == (499, 499)


def test_a_reader_brings_no_older_value_among_those_of_a_first_observer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (one, n), (_, m) = number_store(), number_store()
    joint = combine_state(n, m)
    one.dispatch(1)
    has_read, go_on = threading.Event(), threading.Event()
    commit = Core.commit

    def held_up(core: Core[Any], items: Any, *, may_be_late: bool = False) -> bool:
        if threading.current_thread() is reader:
            has_read.set()
            assert go_on.wait(10)
        return commit(core, items, may_be_late=may_be_late)

    def read() -> None:
        assert joint.value == (1, 0)
        has_read.set()

    monkeypatch.setattr(Core, "commit", held_up)
    reader = threading.Thread(target=read)
    reader.start()
    assert has_read.wait(10)
    seen: list[Any] = []
    joint.subscribe(seen.append)
    one.dispatch(2)
    go_on.set()
    reader.join(10)
    assert seen == [(1, 0), (2, 0)]
    assert joint.value == (2, 0)


def test_while_its_first_observer_connects_it_is_read_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (one, n), (_, m) = number_store(), number_store()
    joint = combine_state(n, m)
    one.dispatch(1)
    connecting, go_on = threading.Event(), threading.Event()
    commit = Core.commit

    def held_up(core: Core[Any], items: Any, *, may_be_late: bool = False) -> bool:
        if threading.current_thread() is observer and not connecting.is_set():
            connecting.set()
            assert go_on.wait(10)
        return commit(core, items, may_be_late=may_be_late)

    monkeypatch.setattr(Core, "commit", held_up)
    seen: list[Any] = []
    observer = threading.Thread(target=joint.subscribe, args=(seen.append,))
    observer.start()
    assert connecting.wait(10)
    value = joint.value
    go_on.set()
    observer.join(10)
    assert value == (1, 0)
    assert seen == [(1, 0)]
