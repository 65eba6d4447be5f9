"""However RxPY's joining operators are put together, they show each commit once: by a model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import reactivex as rx
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import Observable
from reactivex import operators as ops

from tests.state.trio import Subjects, Trio, joined, same, trio, with_a

leaves = st.sampled_from("abc")
trees = st.recursive(
    leaves,
    lambda tree: st.one_of(
        st.tuples(st.sampled_from(["map", "combine", "latest", "sample"]), tree, tree),
        st.tuples(st.just("switch"), tree, leaves),
    ),
    max_leaves=5,
)
# At the root: what merges subscribes late, so what is behind it begins otherwise than a model.
roots = st.one_of(trees, st.tuples(st.just("reduce"), trees, trees))


def pair(known: dict[str, int]) -> tuple[int, int]:
    return known["a"], known["b"]


def build(tree: Any, subjects: Subjects) -> Observable[Any]:
    if isinstance(tree, str):
        return subjects["abc".index(tree)]
    left, right = (build(part, subjects) for part in tree[1:])
    made: dict[str, Callable[[], Observable[Any]]] = {
        "map": lambda: left.pipe(ops.map(same)),
        "combine": lambda: rx.combine_latest(left, right),
        "latest": lambda: left.pipe(ops.with_latest_from(right)),
        "sample": lambda: left.pipe(ops.sample(right)),
        "reduce": lambda: joined(left, right).pipe(ops.map(pair)),
        "switch": lambda: left.pipe(ops.switch_map(partial(with_a, right))),
    }
    return made[tree[0]]()


class Model:
    """What a tree of operators is to show: its value, and whether a commit makes it emit."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        self.value: Any = None
        self.parts = [] if isinstance(tree, str) else [Model(part) for part in tree[1:]]
        self.is_fresh = False

    def emits(self, state: Trio) -> bool:
        before, news = self.value, [part.emits(state) for part in self.parts]
        if not self.parts:
            self.value = getattr(state, self.tree)
            return bool(before != self.value)
        kind, (left, right) = self.tree[0], self.parts
        self.is_fresh |= news[0]
        if not {"map": news[0], "latest": news[0], "sample": news[1] and self.is_fresh}.get(
            kind, any(news)
        ):
            return False
        self.is_fresh = False
        self.value = left.value if kind in ("map", "sample") else (left.value, right.value)
        return True


@settings(max_examples=40, deadline=None)
@given(
    roots,
    st.lists(st.tuples(*[st.integers(0, 2)] * 3).map(Trio._make), max_size=4),
    st.text("abc", max_size=3),
)
def test_whatever_is_joined_however_shows_each_commit_once(
    tree: Any, items: list[Trio], first: str
) -> None:
    store, subjects = trio()
    for name in first:
        subjects["abc".index(name)].subscribe(print)
    seen: list[Any] = []
    build(tree, subjects).subscribe(seen.append)
    model, expected = Model(tree), list[Any]()
    for item in (store.state, *items):
        store.dispatch(item)
        if model.emits(item):
            expected.append(model.value)
    assert seen == expected
