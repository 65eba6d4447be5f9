"""`LoopTurns`: what one turn of the event loop brought, told together, so that it is one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

E = TypeVar("E")


class LoopTurns(Generic[E]):
    """Events on their way to a sink; on one loop.

    Args:
        sink: Is given the events of one turn, in order.
    """

    def __init__(self, sink: Callable[[tuple[E, ...]], None]) -> None:
        self._sink = sink
        self._waiting: list[E] = []
        self._flushing: asyncio.Handle | None = None

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
        batch = tuple(self._waiting)
        self._waiting.clear()
        self._sink(batch)
