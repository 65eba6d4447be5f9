"""Frames of one source into LiveKit, straight from any thread, in order.

LiveKit starts a native task for each frame and these may overtake each other: of bursts of five
frames sent at once, one in six arrived in another order (measured, livekit 1.2.0, two cores). So
only one frame is on its way at a time and the next one leaves when LiveKit has answered, on the
native thread that brings the answer: the event loop takes no part.

Locks, always in this order: LiveKit's queue, a sender's, `Answers`'.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from utd_rx.models.audio import AudioFormat
from utd_rx.models.faults import Faults
from utd_rx.rtc import ffi

if TYPE_CHECKING:
    from livekit import rtc

MAX_WAITING: Final = 6
"""Frames (60 ms, a burst) kept while one is on its way; an answer takes 0.1 ms unless LiveKit
stalls."""


@define(eq=False)
class Answers:
    """The process's one subscriber to what LiveKit says to captured frames."""

    _expected: dict[int, Callable[[], None]] = field(factory=dict)
    _early: set[int] = field(factory=set)
    _asking: int = 0
    # A leaf: nothing is called while it is held.
    _lock: threading.Lock = field(factory=threading.Lock)
    _users: int = 0
    _unwatch: Callable[[], None] | None = None
    _users_lock: threading.Lock = field(factory=threading.Lock)

    def open(self) -> None:
        with self._users_lock:
            self._users += 1
            if self._unwatch is None:
                self._unwatch = ffi.watch(self.hear)

    def close(self) -> None:
        with self._users_lock:
            self._users -= 1
            if not self._users and self._unwatch is not None:
                self._unwatch()
                self._unwatch = None
                with self._lock:
                    self._expected.clear()  # nobody hears the last answers

    def ask(self, request: Callable[[], int | None], on_answer: Callable[[], None]) -> None:
        """Make a request; `on_answer` is called on a native thread, or here if it is there."""
        with self._lock:
            self._asking += 1
        number = None
        try:
            number = request()
        finally:
            with self._lock:
                self._asking -= 1
                is_answered = number is None or number in self._early
                if number is not None and not is_answered:
                    self._expected[number] = on_answer
                if not self._asking:
                    self._early.clear()  # also of answers to frames that others captured
        if is_answered:
            on_answer()

    def hear(self, event: Any) -> bool:
        """Sort one native event; under a lock of LiveKit's."""
        if event.WhichOneof("message") == "capture_audio_frame":
            number = event.capture_audio_frame.async_id
            with self._lock:
                on_answer = self._expected.pop(number, None)
                if on_answer is None and self._asking:
                    self._early.add(number)
            if on_answer is not None:
                on_answer()
        return False


@cache
def answers() -> Answers:
    """Return the process's subscriber; subscribed only while a sender is open."""
    return Answers()


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
        answers().open()

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
        answers().close()

    def _next(self) -> None:
        with self._lock:
            self._is_busy = bool(self._waiting)
            if self._is_busy:
                samples = self._waiting.popleft()
                try:
                    answers().ask(
                        lambda: ffi.capture(self._source, samples, self._format), self._next
                    )
                except Exception:  # noqa: BLE001 - logged by `note`
                    # Nobody will answer to it. The next frame tries anew, with what waits.
                    self._is_busy = False
                    self._faults.note()
