"""Frames of an audio input on their way into LiveKit.

A frame comes on any thread and goes straight to the native side (`sender`); where `ffi` is not
available it is handed to one writer task instead, since concurrent `capture_frame` calls fail
(docs/livekit.md, "Frames that overtake"). LiveKit's own queue is 0, so nothing in between can fill
up.

Delay is never a ratchet: after a stall an input may deliver all it missed at once, and sent in
full it would sit in the listeners' jitter buffers. What is further ahead of real time than `BURST`,
or than one frame of the input where that is longer, is therefore dropped and counted.
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
from utd_rx.rtc import ffi, native
from utd_rx.rtc.cutter import Cutter
from utd_rx.rtc.sender import FrameSender

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

BURST: Final = 6
"""Frames (60 ms) that may come at once: the longest block of a device, and one for scheduling."""

REFILL: Final = FRAMES_PER_SECOND * 1.01
"""Frames a second: 1 % over real time, so that a device whose clock is fast loses nothing."""


class Feeder:
    """Takes frames on any thread and captures them, as `audio_format`, into one `AudioSource`.

    Args:
        audio_format: Of the source.
        failed: Called once, on this loop, when what comes cannot be sent; nothing is from then on.
        direct: Whether past the loop; None for where that is possible.

    Attributes:
        dropped: Pieces of 10 ms dropped because they came in bursts.
    """

    def __init__(
        self,
        audio_format: AudioFormat,
        failed: Callable[[UTDStreamException], None],
        *,
        direct: bool | None = None,
    ) -> None:
        self.dropped = 0
        self._format = audio_format
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        # A queue that is not a whole number of 10 ms aborts the process, and any but 0 keeps every
        # stall as delay for good.
        self.source: rtc.AudioSource = native.sdk().AudioSource(
            audio_format.sample_rate, audio_format.channels, queue_size_ms=0
        )
        is_direct = ffi.is_available() if direct is None else direct
        self._sender = FrameSender(self.source, audio_format) if is_direct else None
        self._cutter = Cutter(audio_format)
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._burst = BURST
        self._credit, self._credited_at = float(BURST), monotonic()
        self._open, self._closed = False, False
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def put(self, frame: AudioFrame) -> None:
        """Take one frame; any thread, returns at once, never raises."""
        with self._lock:
            if self._closed:
                return
            try:
                self._take(self._cutter.cut(frame))
            except UTDStreamException as error:
                self._closed = True
                self._tell(self._failed, error)

    def start(self) -> None:
        """Let frames through; what came before is the beginning of the sound and goes first."""
        with self._lock:
            self._open = True
            while self._sender is not None and self._waiting:
                self._sender.send(self._waiting.popleft())
        if self._sender is None:
            self._wake.set()
            self._writer = asyncio.create_task(self._write(), name="utd_rx.rtc: write audio")

    async def drain(self) -> None:
        """Wait until all that was taken is with LiveKit, to the last sample. Cancelling is safe."""
        with self._lock:
            self._take(self._cutter.finish())
        while self._sender is not None and not self._sender.is_idle:  # noqa: ASYNC110
            await asyncio.sleep(0)  # 0.1 ms at most; LiveKit answers on a thread of its own
        while self._writer is not None and not self._writer.done() and self._waiting:
            self._wake.set()
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Take no more frames and release the source. Idempotent."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])
        if self._sender is not None:
            self._sender.close()
        await self.source.aclose()

    def _take(self, pieces: list[bytes]) -> None:
        """Send pieces, or keep them for the start; under the lock."""
        if len(pieces) >= self._burst:
            # An input of long frames is no burst: the next one has to wait as long.
            self._credit += len(pieces) + 1 - self._burst
            self._burst = len(pieces) + 1
        for piece in pieces:
            if not self._admit():
                self.dropped += 1
            elif self._open and self._sender is not None:
                self.dropped += self._sender.send(piece, self._burst)
            else:
                self._waiting.append(piece)
        while len(self._waiting) > self._burst:
            self._waiting.popleft()
            self.dropped += 1
        if self._open and self._waiting:
            self._tell(self._wake.set)

    def _tell(self, callback: Callable[..., object], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed, nobody looks any more
            self._loop.call_soon_threadsafe(callback, *args)

    def _admit(self) -> bool:
        now = monotonic()
        elapsed, self._credited_at = now - self._credited_at, now
        self._credit = min(float(self._burst), self._credit + elapsed * REFILL)
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

    async def _write(self) -> None:
        rtc = native.sdk()
        spec = (self._format.sample_rate, self._format.channels, self._format.samples_per_frame)
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                data = self._waiting.popleft()
                try:
                    await self.source.capture_frame(rtc.AudioFrame(data, *spec))
                except Exception:
                    logger.exception("LiveKit refused an audio frame")
