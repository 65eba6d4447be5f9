"""Frames of an audio input on their way into LiveKit, from any thread past the event loop.

LiveKit starts a native task for each frame and these may overtake each other
(docs/livekit.md, "Frames that overtake"). So only one is on its way at a time, and the next one
leaves when LiveKit has answered, on the native thread that brings the answer.

Delay is never a ratchet: after a stall an input may deliver all it missed at once, and sent in
full it would sit in the listeners' jitter buffers. What is further ahead of real time than `BURST`,
or than one frame of the input where that is longer, is therefore dropped and counted. LiveKit's own
queue is 0, so nothing behind can fill up.

Locks, always in this order: LiveKit's queue, a sender's.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFormat, AudioFrame
from utd_rx.models.faults import Faults
from utd_rx.rtc import ffi, native
from utd_rx.rtc.cutter import Cutter

if TYPE_CHECKING:
    from livekit import rtc

BURST: Final = 6
"""Frames (60 ms) that may come at once: the longest block of a device, and one for scheduling."""

REFILL: Final = FRAMES_PER_SECOND * 1.01
"""Frames a second: 1 % over real time, so that a device whose clock is fast loses nothing."""


class FrameSender:
    """Sends int16 frames of exactly 10 ms to one `queue_size_ms=0` source, once it is started."""

    def __init__(self, source: rtc.AudioSource, audio_format: AudioFormat) -> None:
        self._source, self._format = source, audio_format
        self._waiting: deque[bytes] = deque()
        self._is_started, self._is_busy, self._is_closed = False, False, False
        # Re-entrant: an answer that is there already comes within `_capture`.
        self._lock = threading.RLock()
        self._faults = Faults(logging.getLogger("utd_rx.rtc"), "LiveKit took no frame")
        ffi.exchange().acquire()

    def start(self) -> None:
        """Let frames through; what came before goes first."""
        with self._lock:
            self._is_started = True
            self._next()

    def send(self, samples: bytes, burst: int) -> int:
        """Send a valid frame, on any thread, while at most `burst` wait; returns how many of
        those were dropped for it."""
        with self._lock:
            if self._is_closed:
                return 1
            dropped = int(len(self._waiting) >= burst)
            if dropped:
                self._waiting.popleft()
            self._waiting.append(samples)
            if self._is_started and not self._is_busy:
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


class Feeder:
    """Takes frames on any thread and captures them, as `audio_format`, into one `AudioSource`.

    `failed` is called once, on this loop, when what comes cannot be sent; nothing is from then on.
    """

    def __init__(
        self, audio_format: AudioFormat, failed: Callable[[UTDStreamException], None]
    ) -> None:
        self.dropped = 0  # pieces of 10 ms, because they came in bursts
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        # A queue that is not a whole number of 10 ms aborts the process, and any but 0 keeps every
        # stall as delay for good.
        self.source: rtc.AudioSource = native.sdk().AudioSource(
            audio_format.sample_rate, audio_format.channels, queue_size_ms=0
        )
        self._sender = FrameSender(self.source, audio_format)
        self._cutter = Cutter(audio_format)
        self._lock = threading.Lock()
        self._burst = BURST
        self._credit, self._credited_at = float(BURST), monotonic()
        self._closed = False

    def put(self, frame: AudioFrame) -> None:
        """Take one frame; any thread, returns at once, never raises."""
        with self._lock:
            if self._closed:
                return
            try:
                self._take(self._cutter.cut(frame))
            except UTDStreamException as error:
                self._closed = True
                with suppress(RuntimeError):  # the loop is closed, nobody looks any more
                    self._loop.call_soon_threadsafe(self._failed, error)

    def start(self) -> None:
        """Let frames through; what came before is the beginning of the sound and goes first."""
        self._sender.start()

    async def drain(self) -> None:
        """Wait until all that was taken is with LiveKit, to the last sample. Cancelling is safe."""
        with self._lock:
            self._take(self._cutter.finish())
        while not self._sender.is_idle:  # noqa: ASYNC110
            await asyncio.sleep(0)  # 0.1 ms at most; LiveKit answers on a thread of its own

    async def aclose(self) -> None:
        """Take no more frames and release the source. Idempotent."""
        with self._lock:
            self._closed = True
        self._sender.close()
        await self.source.aclose()

    def _take(self, pieces: list[bytes]) -> None:
        """Send pieces that are no burst; under the lock."""
        if len(pieces) >= self._burst:
            # An input of long frames is no burst: the next one has to wait as long.
            self._credit += len(pieces) + 1 - self._burst
            self._burst = len(pieces) + 1
        for piece in pieces:
            self.dropped += self._sender.send(piece, self._burst) if self._admit() else 1

    def _admit(self) -> bool:
        now = monotonic()
        elapsed, self._credited_at = now - self._credited_at, now
        self._credit = min(self._burst, self._credit + elapsed * REFILL)
        if self._credit < 1:
            return False
        self._credit -= 1
        return True
