"""`LoopTurns`: what one turn of the event loop brought, told together, so that it is one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

E = TypeVar("E")

MAX_FRAMES: Final = 64
"""Of one socket, in one turn of the loop."""

MAX_FRAME: Final = 4 * 1024
"""Bytes of one: what is longer counts as so many."""


class LoopTurns(Generic[E]):
    """Events on their way to a sink; on one loop.

    Args:
        sink: Is given the events of one turn, in order.
    """

    def __init__(self, sink: Callable[[tuple[E, ...]], None]) -> None:
        self._sink = sink
        self._waiting: list[E] = []
        self._flushing: asyncio.Handle | None = None
        self._taken = 0

    def count(self, size: int) -> None:
        """Note that a frame of `size` bytes was taken, whether it is an event or not."""
        self._taken += 1 + size // MAX_FRAME

    async def give_way(self) -> None:
        """Wait for the next turn, if what was taken in this one is enough: a queue that is never
        empty would be served to its end in one."""
        if self._taken >= MAX_FRAMES:
            self._taken = 0
            await asyncio.sleep(0)  # what waits is told before it is over

    def post(self, event: E) -> None:
        """Deliver it in this turn of the loop, behind whatever else has come in it."""
        self._waiting.append(event)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self._flush)

    def end(self, event: E) -> None:
        """Deliver what waits and this, at once."""
        self.close()
        self._waiting.append(event)
        self._flush()

    def close(self) -> None:
        """Deliver nothing by itself any more."""
        if self._flushing is not None:
            self._flushing.cancel()

    def _flush(self) -> None:
        self._flushing = None
        self._taken = 0
        batch = tuple(self._waiting)
        self._waiting.clear()
        self._sink(batch)
