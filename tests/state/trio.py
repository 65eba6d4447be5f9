"""Three streams of one store, and what is built of such streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from utd_rx.state import StateSubject, Store


class Trio(NamedTuple):
    a: int = 0
    b: int = 0
    c: int = 0


Subjects = tuple[StateSubject[int], StateSubject[int], StateSubject[int]]


def trio() -> tuple[Store[Trio, Trio], Subjects]:
    store: Store[Trio, Trio] = Store(Trio(), lambda _, item: item)
    a = store.select(lambda s: s.a, name="a")
    b = store.select(lambda s: s.b, name="b")
    return store, (a, b, store.select(lambda s: s.c, name="c"))


def same(value: Any) -> Any:
    return value


def both(known: Any, news: Any) -> Any:
    return known | news


def tagged(source: Any, tag: str) -> Observable[dict[str, int]]:
    return source.pipe(ops.map(lambda value: {tag: value}))  # type: ignore[no-any-return]


def joined(a: Any, b: Any) -> Observable[dict[str, int]]:
    is_whole: Callable[[Any], bool] = lambda known: len(known) == 2  # noqa: E731
    return rx.merge(tagged(a, "a"), tagged(b, "b")).pipe(ops.scan(both, {}), ops.filter(is_whole))


def with_a(b: Any, value: Any) -> Observable[tuple[int, int]]:
    return b.pipe(ops.map(lambda other: (value, other)))  # type: ignore[no-any-return]
