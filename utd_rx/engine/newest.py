"""The newest of what came, where nobody may have taken anything for long."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """In order; `most` of them, and `most_bytes` by `size`, at most; the oldest are dropped."""

    def __init__(self, most: int, most_bytes: int, size: Callable[[T], int]) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._size = size
        self._kept: deque[T] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[T]:
        return iter(self._kept)

    def __getitem__(self, index: int) -> T:
        return self._kept[index]

    def append(self, item: T) -> list[T]:
        """Keep one more; return those that had to go for it."""
        dropped = []
        self._bytes += self._size(item)
        while self._kept and (len(self) >= self._most or self._bytes > self._most_bytes):
            dropped.append(self.popleft())
        self._kept.append(item)
        return dropped

    def popleft(self) -> T:
        """Take the oldest."""
        item = self._kept.popleft()
        self._bytes -= self._size(item)
        return item

    def clear(self) -> None:
        """Drop all."""
        self._kept.clear()
        self._bytes = 0
