"""From an audio thread to the event loop, without ever waiting for it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from utd_rx.models.audio import AudioFrame

MAX_WAITING: Final = 100
"""Frames that wait for the loop, a second of sound; beyond it the oldest are dropped."""


class ChangeBox:
    """Carries changes of a state; while the loop is busy only the newest of each field is kept.

    Args:
        loop: Where they are applied.
        apply: Takes them, on that loop.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, apply: Callable[[Mapping[str, Any]], object]
    ) -> None:
        self._loop = loop
        self._apply = apply
        self._lock = threading.Lock()
        self._changes: dict[str, Any] = {}

    def post(self, **changes: Any) -> None:
        """Take changes, on any thread; never waits."""
        with self._lock:
            is_scheduled = bool(self._changes)
            self._changes.update(changes)
        if not is_scheduled:
            with suppress(RuntimeError):  # the loop is closed, nobody looks any more
                self._loop.call_soon_threadsafe(self.flush)

    def flush(self) -> None:
        """Apply what waits, on the loop."""
        with self._lock:
            changes, self._changes = self._changes, {}
        if changes:
            self._apply(changes)


class FrameBox:
    """Carries frames; one crossing for all that wait.

    Args:
        loop: Where they are delivered.
        deliver: Takes each, on that loop.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[AudioFrame], None]
    ) -> None:
        self._loop = loop
        self._deliver = deliver
        self._lock = threading.Lock()
        self._waiting: deque[AudioFrame] = deque(maxlen=MAX_WAITING)

    def post(self, frame: AudioFrame) -> None:
        """Take a frame, on any thread; never waits."""
        with self._lock:
            is_scheduled = bool(self._waiting)
            self._waiting.append(frame)
        if not is_scheduled:
            with suppress(RuntimeError):  # the loop is closed, nobody listens any more
                self._loop.call_soon_threadsafe(self.flush)

    def flush(self) -> None:
        """Deliver what waits, on the loop."""
        with self._lock:
            frames = list(self._waiting)
            self._waiting.clear()
        for frame in frames:
            self._deliver(frame)
