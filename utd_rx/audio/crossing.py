"""Changes from an audio thread to the event loop, without ever waiting for it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

MAX_FAILURES: Final = 20
"""Changes of a failure that wait for the loop; beyond it the oldest are dropped."""


class ChangeBox:
    """Carries changes of a state; while the loop is busy only the newest of each field is kept.

    But a failure that was over before the loop looked is seen all the same.

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
        self._waiting: deque[dict[str, Any]] = deque(maxlen=MAX_FAILURES)
        self._is_closed = False

    def post(self, **changes: Any) -> None:
        """Take changes, on any thread; never waits."""
        with self._lock:
            is_scheduled = bool(self._waiting)
            if "failure" in changes or not self._waiting:
                self._waiting.append(changes)
            else:
                self._waiting[-1].update(changes)
        if not is_scheduled:
            with suppress(RuntimeError):  # the loop is closed, nobody looks any more
                self._loop.call_soon_threadsafe(self.flush)

    def flush(self) -> None:
        """Apply what waits, on the loop."""
        with self._lock:
            waiting = [] if self._is_closed else list(self._waiting)
            self._waiting.clear()
        for changes in waiting:
            self._apply(changes)

    def close(self) -> None:
        """Apply nothing any more, on the loop: what comes is of a device that was given up."""
        self._is_closed = True
