"""Three streams of one store, and what is built of such streams."""

from __future__ import annotations

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


def is_whole(known: Any) -> bool:
    return len(known) == 2


def tagged(source: Any, tag: str) -> Any:
    return source.pipe(ops.map(lambda value: {tag: value}))


def joined(a: Any, b: Any) -> Observable[dict[str, int]]:
    tags = rx.merge(tagged(a, "a"), tagged(b, "b"))
    return tags.pipe(ops.scan(both, {}), ops.filter(is_whole))


def with_a(b: Any, value: Any) -> Any:
    return b.pipe(ops.map(lambda other: (value, other)))
