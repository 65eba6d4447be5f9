"""A mapping that cannot change: hashable, comparable and picklable, as values of a state must be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenMap(Mapping[K, V]):
    """An immutable mapping; equal to any mapping with the same items.

    `types.MappingProxyType` neither hashes nor pickles, and every value here has to cross to
    another process one day (docs/architecture.md, "Values only").
    """

    __slots__ = ("_hash", "_items")

    def __init__(self, items: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        self._items: dict[K, V] = dict(items)
        self._hash: int | None = None

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, FrozenMap):
            return self._items == other._items
        return NotImplemented if not isinstance(other, Mapping) else self._items == dict(other)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._items.items()))
        return self._hash

    def __repr__(self) -> str:
        return f"FrozenMap({self._items!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (FrozenMap, (self._items,))

    def set(self, key: K, value: V) -> FrozenMap[K, V]:
        """Return a copy in which `key` maps to `value`; `self` when it already does."""
        if key in self._items and self._items[key] == value:
            return self
        return FrozenMap({**self._items, key: value})

    def remove(self, key: K) -> FrozenMap[K, V]:
        """Return a copy without `key`; `self` when it has none."""
        if key not in self._items:
            return self
        return FrozenMap({k: v for k, v in self._items.items() if k != key})
