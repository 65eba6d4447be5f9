"""A mapping that cannot change: hashable, comparable and picklable, as values of a state must be.

A large map is three dicts that nobody changes: `base`, and over it `patch` (a new value for a key
of `base`, or `_GONE`) and `tail` (keys that came after). A changed copy shares `base` and copies
the two small ones; when together they have outgrown √n entries, they are merged into a new `base`.
So a change costs O(√n) amortised, at the speed of C's dict copy. Whoever reads a map as a whole
pays O(n) for the merge, once: it is kept. docs/state.md has the figures.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from enum import Enum
from itertools import chain, islice
from math import isqrt
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast, get_args

from utd_rx.models.serializing import serializer

K = TypeVar("K")
V = TypeVar("V")
_Parts: TypeAlias = tuple[dict[K, V], dict[K, Any], dict[K, V]]

SMALL: Final = 64
"""Below this many entries a copy of the dict is cheaper than two layers."""

_GONE: Final = object()
_NOTHING: Final[dict[Any, Any]] = {}


class FrozenMap(Mapping[K, V]):
    """An immutable mapping in order of insertion; equal to any mapping with the same items.

    `types.MappingProxyType` neither hashes nor pickles.
    """

    __slots__ = ("_begun", "_hash", "_length", "_listed", "_parts")

    def __init__(self, items: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        base: dict[K, V] = dict(items)
        self._parts: _Parts[K, V] = (base, _NOTHING, _NOTHING)
        self._length = len(base)
        self._hash: int | None = None
        self._listed: tuple[V, ...] | None = None
        # What `listed` was before the last entries came, if nothing else has happened since.
        self._begun: tuple[V, ...] | None = None

    def __getitem__(self, key: K) -> V:
        base, patch, tail = self._parts
        if patch or tail:
            value = tail[key] if key in tail else patch.get(key, self)
            if value is _GONE:
                raise KeyError(key)
            if value is not self:  # which stands for "not in there"
                return cast("V", value)
        return base[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._whole())

    def __len__(self) -> int:
        return self._length

    def keys(self) -> KeysView[K]:
        return self._whole().keys()

    def values(self) -> ValuesView[V]:
        return self._whole().values()

    def items(self) -> ItemsView[K, V]:
        return self._whole().items()

    def listed(self) -> tuple[V, ...]:
        """Return the values as a tuple, in order: O(n), once; a copy with more to it, if known."""
        listed, begun = self._listed, self._begun
        if listed is None:
            if begun is None:
                listed = tuple(self._whole().values())
            else:
                base, _, tail = self._parts
                newest = chain(reversed(tail.values()), reversed(base.values()))
                listed = begun + tuple(islice(newest, self._length - len(begun)))[::-1]
            self._listed, self._begun = listed, None
        return listed

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, FrozenMap):
            return NotImplemented if not isinstance(other, Mapping) else self._whole() == other
        if self._length != other._length:
            return False
        (base, *mine), (other_base, *others) = self._parts, other._parts
        if base is other_base:  # two versions of one map: only what is laid over can differ
            return all(
                self.get(key, _GONE) == other.get(key, _GONE)
                for layer in (*mine, *others)
                for key in layer
            )
        return self._whole() == other._whole()

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._whole().items()))
        return self._hash

    def __repr__(self) -> str:
        return f"FrozenMap({self._whole()!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (FrozenMap, (self._whole(),))

    def toDict(self) -> dict[K, object]:  # noqa: N802 - pandas' word, in DataFrame.to_json
        """Return it as a `dict`, of enums their values."""
        entries = self._whole().items()
        return {key: one.value if isinstance(one, Enum) else one for key, one in entries}

    if not TYPE_CHECKING:

        @property
        def __pydantic_serializer__(self):
            """Return what writes it for pydantic where no type is declared."""
            return serializer(dict)

        @classmethod
        def __get_pydantic_core_schema__(cls, source, handler):
            """Return pydantic's schema: that of a `dict`."""
            from pydantic_core import core_schema as core

            form = core.dict_schema(*map(handler.generate_schema, get_args(source)))
            serialization = core.plain_serializer_function_ser_schema(dict, return_schema=form)
            return core.no_info_after_validator_function(cls, form, serialization=serialization)

    def set(self, key: K, value: V) -> FrozenMap[K, V]:
        """Return a copy in which `key` maps to `value`; `self` when it already does.

        A known key keeps its place, a new one comes last.
        """
        base, patch, tail = self._parts
        known = self.get(key, _GONE)
        if known is not _GONE and (known is value or known == value):
            return self
        if known is _GONE or key in tail:
            tail = {**tail, key: value}
        else:
            patch = {**patch, key: value}
        changed = self._changed(base, patch, tail, self._length + (known is _GONE))
        if known is _GONE:
            changed._begun = self._begun if self._listed is None else self._listed
        return changed

    def remove(self, key: K) -> FrozenMap[K, V]:
        """Return a copy without `key`; `self` when it has none."""
        if key not in self:
            return self
        base, patch, tail = self._parts
        if key in tail:
            tail = {k: v for k, v in tail.items() if k != key}
        else:
            patch = {**patch, key: _GONE}
        return self._changed(base, patch, tail, self._length - 1)

    def _whole(self) -> dict[K, V]:
        """Return everything in one dict, which the caller must not change."""
        base, patch, tail = self._parts
        if patch or tail:
            base = {**base, **patch}
            for key, value in patch.items():
                if value is _GONE:  # before `tail`, in which it may have come again, as the last
                    del base[key]
            base.update(tail)
            # One assignment, and the same content: no other thread can tell.
            self._parts = (base, _NOTHING, _NOTHING)
        return base

    @staticmethod
    def _changed(
        base: dict[K, V], patch: dict[K, Any], tail: dict[K, V], length: int
    ) -> FrozenMap[K, V]:
        changed: FrozenMap[K, V] = FrozenMap.__new__(FrozenMap)
        changed._parts = (base, patch, tail)
        changed._length = length
        changed._hash = changed._listed = changed._begun = None
        if len(base) < SMALL or len(patch) + len(tail) > isqrt(len(base)):
            changed._whole()
        return changed
