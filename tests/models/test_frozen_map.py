"""A FrozenMap is a dict that cannot change, whatever versions of it are alive."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from utd_rx.models import frozen_map
from utd_rx.models.frozen_map import FrozenMap

T = TypeVar("T")

keys = st.integers(0, 40)
Version = tuple[FrozenMap[int, Any], dict[int, Any]]


class Versions(RuleBasedStateMachine):
    """Versions of maps beside dicts; each may be changed again, read, or forgotten."""

    versions: Bundle[Version] = Bundle("versions")

    def __init__(self) -> None:
        super().__init__()
        self.alive: list[Version] = []

    def keep(self, version: Version) -> Version:
        self.alive.append(version)
        return version

    @rule(target=versions, items=st.lists(st.tuples(keys, st.integers()), max_size=60))
    def make(self, items: list[tuple[int, int]]) -> Version:
        return self.keep((FrozenMap(items), dict(items)))

    @rule(target=versions, version=versions, key=keys, value=st.integers(0, 3))
    def set(self, version: Version, key: int, value: int) -> Version:
        made, model = version
        return self.keep((made.set(key, value), {**model, key: value}))

    @rule(target=versions, version=versions, changes=st.lists(st.tuples(keys, st.integers(0, 3))))
    def change_often(self, version: Version, changes: list[tuple[int, int]]) -> Version:
        made, model = version[0], dict(version[1])
        for key, value in changes:
            if value:
                made, model[key] = made.set(key, value), value
            else:
                made = made.remove(key)
                model.pop(key, None)
        return self.keep((made, model))

    @rule(target=versions, version=versions, key=keys)
    def remove(self, version: Version, key: int) -> Version:
        made, model = version
        return self.keep((made.remove(key), {k: v for k, v in model.items() if k != key}))

    @rule(version=versions)
    def list_values(self, version: Version) -> None:
        made, model = version
        assert made.listed() == tuple(model.values())
        assert made.listed() is made.listed()

    @rule(version=versions)
    def read_whole(self, version: Version) -> None:
        made, model = version
        assert [*made.items()] == [*model.items()]
        assert [*made] == [*made.keys()] == [*model]
        assert [*made.values()] == [*model.values()]
        assert pickle.loads(pickle.dumps(made)) == made

    @rule(one=versions, two=versions)
    def compare(self, one: Version, two: Version) -> None:
        assert (one[0] == two[0]) is (one[1] == two[1])
        assert (one[0] == two[1]) is (one[1] == two[1])
        if one[1] == two[1]:
            assert hash(one[0]) == hash(two[0])

    @rule(version=consumes(versions))
    def forget(self, version: Version) -> None:
        self.alive = [other for other in self.alive if other[0] is not version[0]]

    @invariant()
    def no_version_changes(self) -> None:
        for made, model in self.alive[-5:]:
            assert len(made) == len(model)
            for key in range(0, 41, 3):
                assert made.get(key, "none") == model.get(key, "none")
                assert (key in made) is (key in model)

    def teardown(self) -> None:
        for made, model in self.alive:
            assert [*made.items()] == [*model.items()]


@pytest.mark.long
@pytest.mark.parametrize("small", [8, frozen_map.SMALL])
def test_versions(monkeypatch: pytest.MonkeyPatch, small: int) -> None:
    """With layers of few entries too, which would otherwise take hundreds to come up."""
    monkeypatch.setattr(frozen_map, "SMALL", small)
    run_state_machine_as_test(Versions)


def test_who_comes_again_comes_last() -> None:
    people = FrozenMap((i, "here") for i in range(200))
    assert [*people.remove(7).set(7, "back")][-1] == 7
    assert [*people.set(7, "renamed")] == [*people]


def allocated(make: Callable[[], T]) -> tuple[T, int]:
    """What it makes, and how many bytes it needed at most on the way."""
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    made = make()
    return made, tracemalloc.get_traced_memory()[1] - before


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
def test_a_change_of_a_large_map_copies_little() -> None:
    people = FrozenMap((i, "here") for i in range(10_000))
    _, whole = allocated(lambda: dict(people))
    changed, copied = people, 0
    for i in range(10_000, 11_000):
        change = lambda i=i, old=changed: old.set(i, "").set(i - 10_000, "").remove(i - 5_000)  # noqa: E731
        changed, size = allocated(change)
        copied += size
    assert copied / 1_000 < whole / 10
    assert people == FrozenMap((i, "here") for i in range(10_000))


@pytest.mark.usefixtures("traced")
def test_a_long_list_grows_without_reading_the_map() -> None:
    people = FrozenMap((i, i) for i in range(10_000))
    assert people.listed() == tuple(range(10_000))
    more = people.set(10_000, 10_000).set(10_001, 10_001)
    _, whole = allocated(lambda: dict(people))
    listed, size = allocated(more.listed)
    assert listed == tuple(range(10_002))
    assert size < whole / 2
    for i in range(10_002, 10_500):
        more = more.set(i, i)
    assert more.listed() == tuple(range(10_500))
    assert more.remove(0).listed() == tuple(range(1, 10_500))
