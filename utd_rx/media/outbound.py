"""`Outbound`: what waits to be written while the other end does not read.

Order is kept: nothing that somebody waits for overtakes what was told before it. Between two such
things what is told to one sink is thinned, in time that does not depend on how much comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence, Set
from typing import Any, Final

from utd_rx.media.thinning import size_of, thinned, whose
from utd_rx.media.wire import Beat, ChildLog, Delivery, Message

MANY: Final = 512

MAX_LINES: Final = 100
"""Of the log, that wait at once; the first are those that say why."""

Waiting = tuple[Message, Sequence[int]]


class Outbound:
    """Messages in order, with the descriptors that go with them.

    Args:
        many: As much waits before it is thinned, and afterwards twice as much as was left; counted
            in things told, and in KiB of what they bring.
    """

    def __init__(self, many: int = MANY) -> None:
        self._waiting: deque[Waiting] = deque()
        self._least = self._many = many
        self._weight = self._lines = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Take one more; not a sign of life beside others, nor a line of the log beside many."""
        match message:
            case Beat() if self._waiting:
                return
            case ChildLog():
                self._lines += 1
                if self._lines > MAX_LINES:
                    return
        self._waiting.append((message, descriptors))
        self._weight += _weight(message)
        if self._weight > self._many:
            # A finalizer may put more while it is thinned: that stays behind it.
            waiting, self._waiting, self._weight = self._waiting, deque(), 0
            left = self._thinned(waiting)
            self._waiting.extendleft(reversed(left))
            self._weight += sum(_weight(message) for message, _ in left)
            self._many = max(self._least, 2 * self._weight)

    def take(self) -> Waiting | None:
        """Return the oldest, None when nothing waits."""
        if not self._waiting:
            self._lines, self._many = 0, self._least
            return None
        oldest = self._waiting.popleft()
        self._weight -= _weight(oldest[0])
        return oldest

    def _thinned(self, waiting: Iterable[Waiting]) -> list[Waiting]:
        left: list[Waiting] = []
        told: list[Delivery] = []
        for message, descriptors in waiting:
            if isinstance(message, Delivery) and not descriptors:
                told.append(message)
            elif isinstance(message, ChildLog):  # it belongs to nothing
                left.append((message, descriptors))
            else:
                left += self._merged(told)
                left.append((message, descriptors))
                told = []
        return left + self._merged(told)

    def _merged(self, told: Sequence[Delivery]) -> list[Waiting]:
        """Return deliveries with one for each sink, behind what was told to others before it; where
        they are no batches, as many as are left."""
        by_sink: dict[int, list[Any]] = {}
        for one in told:
            by_sink.setdefault(one.sink, []).append(one.batch)
        minded = whose(item for batches in by_sink.values() for item in _items(batches))
        return [
            (Delivery(sink, batch), ())
            for sink, batches in by_sink.items()
            for batch in _left(batches, minded)
        ]


def _items(batches: Sequence[Any]) -> Sequence[Any]:
    is_batch = isinstance(batches[0], tuple)
    return [item for batch in batches for item in batch] if is_batch else batches


def _left(batches: Sequence[Any], minded: Set[str]) -> list[Any]:
    """Return what is left of what waits for one sink, as it is told."""
    left = thinned(_items(batches), minded)
    return left if not isinstance(batches[0], tuple) else [tuple(left)] if left else []


def _weight(message: Message) -> int:
    if not isinstance(message, Delivery):
        return 1
    items = message.batch if isinstance(message.batch, tuple) else (message.batch,)
    return 1 + len(items) + sum(map(size_of, items)) // 1024
