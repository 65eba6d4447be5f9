"""What waits to be written while the other end does not read."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from utd_rx.media.wire import Message


class Outbound:
    """Messages in order, with the descriptors that go with them."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Message, Sequence[int]]] = deque()

    def put(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        self._waiting.append((message, descriptors))

    def take(self) -> tuple[Message, Sequence[int]] | None:
        """Return the oldest, None when nothing waits."""
        return self._waiting.popleft() if self._waiting else None
