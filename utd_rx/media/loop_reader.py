"""Reading one writer's rings on an event loop, woken up by their bells."""

from __future__ import annotations

import asyncio
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

from utd_rx.media.ring import RingReader, RingShape
from utd_rx.models.faults import Faults

Announce: TypeAlias = Callable[[RingShape, tuple[int, int]], None]
"""Hands the other end the shape of a ring and its descriptors, which are copied at once; any
thread."""

AT_ONCE: Final = 4
"""Times that what came while it was read is read at once: then others have their turn."""


class LoopReader(ABC):
    """Delivers on this loop what one writer writes, through one ring after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring: RingReader | None = None
        self._lost = 0
        self._faults = Faults(logging.getLogger("utd_rx.media"), "a frame was lost")

    @abstractmethod
    def deliver(self, ring: RingReader) -> None:
        """Give on what has come."""

    @property
    def lost(self) -> int:
        """Slots that were overwritten before they were read."""
        return self._lost + (0 if self._ring is None else self._ring.lost)

    def attach(self, shape: RingShape, memory: int, bell: int) -> None:
        """Read this ring from now on, once what is left in the one before is delivered; the
        descriptors are this one's, to be closed."""
        self.close()
        self._ring = RingReader(shape, memory, bell)
        self._loop.add_reader(bell, self._wake)
        self.drain()

    def drain(self) -> None:
        """Deliver at once what has come."""
        for _ in range(AT_ONCE):
            ring = self._ring
            if ring is None:
                return
            try:
                self.deliver(ring)
            except Exception:  # noqa: BLE001 - logged by `note`
                self._faults.note()
            if ring is self._ring and not ring.wait():
                return
        self._loop.call_soon(self.drain)

    def close(self) -> None:
        """Deliver what has come, and no more of this ring. Idempotent."""
        self.drain()
        self.stop()

    def stop(self) -> None:
        """Deliver no more. Idempotent."""
        ring, self._ring = self._ring, None
        if ring is not None:
            self._lost += ring.lost
            self._loop.remove_reader(ring.bell)
            ring.close()

    def _wake(self) -> None:
        if self._ring is not None:
            with suppress(BlockingIOError):
                os.eventfd_read(self._ring.bell)
        self.drain()
