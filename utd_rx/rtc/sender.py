"""Frames of one source into LiveKit, straight from any thread, in order.

LiveKit starts a native task for each frame and these may overtake each other: of bursts of five
frames sent at once, one in six arrived in another order (measured, livekit 1.2.0, two cores). So
only one frame is on its way at a time and the next one leaves when LiveKit has answered, on the
native thread that brings the answer: the event loop takes no part.

Locks, always in this order: LiveKit's queue, a sender's.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from utd_rx.models.audio import AudioFormat
from utd_rx.models.faults import Faults
from utd_rx.rtc import ffi

if TYPE_CHECKING:
    from livekit import rtc

MAX_WAITING: Final = 6
"""Frames (60 ms, a burst) kept while one is on its way; an answer takes 0.1 ms unless LiveKit
stalls."""


class FrameSender:
    """Sends int16 frames of exactly 10 ms to one `queue_size_ms=0` source.

    Create and close it on the event loop; `send` on any thread.
    """

    def __init__(self, source: rtc.AudioSource, audio_format: AudioFormat) -> None:
        self._source, self._format = source, audio_format
        self._waiting: deque[bytes] = deque()
        self._is_busy, self._is_closed = False, False
        # Re-entrant: an answer that is there already comes within `_capture`.
        self._lock = threading.RLock()
        self._faults = Faults(logging.getLogger("utd_rx.rtc"), "LiveKit took no frame")
        ffi.exchange().acquire()

    def send(self, samples: bytes, burst: int = MAX_WAITING) -> int:
        """Send a frame that the caller has validated; returns how many were dropped for it.

        Args:
            samples: The frame.
            burst: How many may wait.
        """
        with self._lock:
            if self._is_closed:
                return 1
            dropped = int(len(self._waiting) >= burst)
            if dropped:
                self._waiting.popleft()
            self._waiting.append(samples)
            if not self._is_busy:
                self._next()
            return dropped

    @property
    def is_idle(self) -> bool:
        """Whether LiveKit has answered to every frame."""
        return self._is_closed or not self._is_busy

    def close(self) -> None:
        """Send no more. Idempotent."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._waiting.clear()
        ffi.exchange().release()

    def _next(self) -> None:
        with self._lock:
            self._is_busy = bool(self._waiting)
            if self._is_busy and not self._capture(self._waiting.popleft()):
                self._is_busy = False

    def _capture(self, samples: bytes) -> bool:
        """Return whether an answer will come; the next frame tries anew otherwise."""
        try:
            return ffi.exchange().capture(self._source, samples, self._format, self._next)
        except Exception:  # noqa: BLE001 - logged by `note`
            self._faults.note()
            return False
