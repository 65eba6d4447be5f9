"""Reading one writer's rings on an event loop, woken up by their bells."""

from __future__ import annotations

import asyncio
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Final, Generic, TypeAlias, TypeVar

from utd_rx.media.ring import RingReader, RingShape
from utd_rx.models.faults import Faults
from utd_rx.state.reports import INTERRUPTS, running_loop

T = TypeVar("T")

Announce: TypeAlias = Callable[[RingShape, tuple[int, int]], None]
"""Hands the other end the shape of a ring and its descriptors, which are copied at once; any
thread."""

AT_ONCE: Final = 4
"""Times that what came while it was read is read at once: then others have their turn."""


class RingTaker(ABC):
    """A function that stays here and is called with what comes as a message; the rest comes through
    rings. `takes` says to the other end what it is to write."""

    takes: ClassVar[str]

    @abstractmethod
    def __call__(self, came: Any) -> None:
        """Take what came as a message."""

    @abstractmethod
    def attach(self, shape: RingShape, memory: int, bell: int) -> None:
        """Read this ring from now on; the descriptors are this one's, to be closed. Any thread."""

    @abstractmethod
    def finish(self) -> None:
        """Read what has come, and nothing more; any thread."""


class LoopReader(RingTaker, Generic[T]):
    """Delivers to `sink`, on this loop, what one writer writes, through one ring after the other.

    Called, it hands over to the sink what came another way.
    """

    def __init__(self, sink: Callable[[T], object]) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._ring: RingReader | None = None
        self._lost = 0
        self._is_over = False
        self._faults = Faults(logging.getLogger("utd_rx.media"), "a frame was lost")

    def __call__(self, came: T) -> None:
        if not self._is_over:
            self._sink(came)

    @abstractmethod
    def deliver(self, ring: RingReader) -> None:
        """Give on what has come."""

    @property
    def lost(self) -> int:
        """Slots that were overwritten before they were read."""
        return self._lost + (0 if self._ring is None else self._ring.lost)

    def attach(self, shape: RingShape, memory: int, bell: int) -> None:
        """Read this ring from now on, once what is left in the one before is delivered; the
        descriptors are this one's, to be closed. Any thread."""
        self._here(self._attach, RingReader(shape, memory, bell))

    def drain(self) -> None:
        """Deliver at once what has come."""
        for _ in range(AT_ONCE):
            ring = self._ring
            if ring is None:
                return
            try:
                self.deliver(ring)
            except BaseException as error:  # logged by `note`
                self._faults.note()
                if isinstance(error, INTERRUPTS):
                    self._loop.call_soon(self.drain)
                    raise
            if ring is self._ring and not ring.wait():
                return
        self._loop.call_soon(self.drain)

    def finish(self) -> None:
        """Deliver what has come, and nothing more; any thread."""
        self._here(self._finish)

    def stop(self) -> None:
        """Deliver no more, on the loop. Idempotent."""
        self._is_over = True
        self._detach()

    def _attach(self, ring: RingReader) -> None:
        if self._is_over:
            ring.close()
            return
        self.drain()
        self._detach()
        self._ring = ring
        self._loop.add_reader(ring.bell, self._wake)
        self.drain()

    def _finish(self) -> None:
        self.drain()
        self.stop()

    def _detach(self) -> None:
        ring, self._ring = self._ring, None
        if ring is not None:
            self._lost += ring.lost
            self._loop.remove_reader(ring.bell)
            ring.close()

    def _here(self, work: Callable[..., None], *args: object) -> None:
        """Do something on the loop; where it is closed, nobody listens any more."""
        if running_loop() is self._loop:
            work(*args)
        else:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(work, *args)

    def _wake(self) -> None:
        if self._ring is not None:
            with suppress(BlockingIOError):
                os.eventfd_read(self._ring.bell)
        self.drain()
