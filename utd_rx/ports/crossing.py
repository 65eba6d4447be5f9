"""Frames from any thread to an event loop, in batches, without ever waiting for it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFrame

MAX_WAITING: Final = FRAMES_PER_SECOND
"""Frames that wait for the loop, a second of sound; beyond it the oldest are dropped."""


class FrameBox:
    """Carries frames; one crossing, and one delivery, for all that wait.

    Args:
        loop: Where they are delivered.
        deliver: Takes them, on that loop, at least one.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[tuple[AudioFrame, ...]], None]
    ) -> None:
        self._loop = loop
        self._deliver = deliver
        self._lock = threading.Lock()
        self._waiting: deque[AudioFrame] = deque(maxlen=MAX_WAITING)
        self._is_closed = False

    def post(self, frame: AudioFrame) -> None:
        """Take a frame, on any thread; never waits."""
        with self._lock:
            is_scheduled = bool(self._waiting)
            self._waiting.append(frame)
        if not is_scheduled:
            with suppress(RuntimeError):  # the loop is closed, nobody listens any more
                self._loop.call_soon_threadsafe(self._flush)

    def close(self) -> None:
        """Deliver no more, on the loop; what waits is dropped. Idempotent."""
        self._is_closed = True

    def _flush(self) -> None:
        with self._lock:
            frames = tuple(self._waiting)
            self._waiting.clear()
        if not self._is_closed:
            self._deliver(frames)
