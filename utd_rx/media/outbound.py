"""`Outbound`: what waits to be written while the other end does not read.

Order is kept: nothing that somebody waits for overtakes what was told before it. Between two such
things what is told to one sink is thinned, in time that does not depend on how much comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from utd_rx.media.thinning import thinned
from utd_rx.media.wire import Delivery, Message

MANY: Final = 256

Waiting = tuple[Message, Sequence[int]]


class Outbound:
    """Messages in order, with the descriptors that go with them.

    Args:
        many: As many wait before they are thinned, and afterwards twice as many as were left.
    """

    def __init__(self, many: int = MANY) -> None:
        self._waiting: deque[Waiting] = deque()
        self._least = self._many = many

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Take one more."""
        self._waiting.append((message, descriptors))
        if len(self._waiting) > self._many:
            self._waiting = deque(self._thinned())
            self._many = max(self._least, 2 * len(self._waiting))

    def take(self) -> Waiting | None:
        """Return the oldest, None when nothing waits."""
        return self._waiting.popleft() if self._waiting else None

    def _thinned(self) -> list[Waiting]:
        left: list[Waiting] = []
        told: list[Delivery] = []
        for message, descriptors in self._waiting:
            if isinstance(message, Delivery) and not descriptors:
                told.append(message)
            else:
                left += self._merged(told)
                left.append((message, descriptors))
                told = []
        return left + self._merged(told)

    def _merged(self, told: Sequence[Delivery]) -> list[Waiting]:
        """Return deliveries with one for each sink, behind what was told to others before it; where
        they are no batches, as many as are left."""
        by_sink: dict[int, list[Delivery]] = {}
        for one in told:
            by_sink.setdefault(one.sink, []).append(one)
        return [
            (delivery, ())
            for sink, deliveries in by_sink.items()
            for delivery in self._delivered(sink, deliveries)
        ]

    def _delivered(self, sink: int, deliveries: Sequence[Delivery]) -> list[Delivery]:
        batches = [delivery.batch for delivery in deliveries]
        if isinstance(batches[0], tuple):
            items = thinned([item for batch in batches for item in batch])
            return [Delivery(sink, tuple(items))] if items else []
        return [Delivery(sink, item) for item in thinned(batches)]
