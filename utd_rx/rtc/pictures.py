"""Frames of a video input on their way into LiveKit, from any thread, by a thread of their own.

LiveKit converts a frame while it is handed over, so neither the event loop nor the input waits for
that. One frame is on its way and one waits; a newer one takes the place of the one that waits.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models.faults import Faults
from utd_rx.models.video import VideoFormat, VideoFrame
from utd_rx.rtc import native

if TYPE_CHECKING:
    from livekit import rtc

ROTATIONS: Final = (0, 90, 180, 270)
"""In degrees; LiveKit's number of each is its place."""


class PictureFeeder:
    """Takes frames on any thread and captures them into one `VideoSource`, once it is started.

    `failed` is called once, on this loop, when what comes is no frame; nothing is sent from then
    on.
    """

    def __init__(
        self,
        video_format: VideoFormat,
        failed: Callable[[UTDStreamException], None],
        *,
        is_screen: bool = False,
    ) -> None:
        self.format = video_format
        self.dropped = 0  # frames, because a newer one came before they were sent
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: VideoFrame | None = None
        self._is_started = self._is_busy = self._is_closed = False
        self._sending: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, "utd_rx pictures")
        self._faults = Faults(logging.getLogger("utd_rx.rtc"), "LiveKit took no picture")
        width, height = video_format.width, video_format.height
        self.source: rtc.VideoSource = native.sdk().VideoSource(
            width, height, is_screencast=is_screen
        )
        # LiveKit sends blank ones of its own until there is a first, and goes on for ever in a
        # source that never has one (docs/livekit.md, "Blank pictures").
        self._capture(VideoFrame(np.zeros((height, width, 3), np.uint8)))

    def put(self, frame: VideoFrame) -> None:
        """Take one frame; any thread, returns at once, never raises."""
        with self._lock:
            if self._is_closed:
                return
            if isinstance(frame, VideoFrame):
                self.dropped += self._waiting is not None
                self._waiting = frame
                self._work()
            else:
                self._is_closed = True
                what = type(frame).__name__
                error = invalid(f"The video input delivers {what}, which is no VideoFrame.")
                with suppress(RuntimeError):  # the loop is closed, nobody looks any more
                    self._loop.call_soon_threadsafe(self._failed, error)

    def start(self) -> None:
        """Let frames through; the newest that came before goes first."""
        with self._lock:
            self._is_started = True
            self._work()

    async def drain(self) -> None:
        """Wait until what was taken is with LiveKit. Cancelling is safe."""
        if self._sending is not None:
            await asyncio.wait([asyncio.wrap_future(self._sending)])

    async def aclose(self) -> None:
        """Take no more frames and release the source. Idempotent."""
        with self._lock:
            self._is_closed, self._waiting = True, None
        self._thread.shutdown(wait=False)
        await self.drain()
        await self.source.aclose()

    def _work(self) -> None:
        """Have the thread send what waits, unless it is at it; under the lock."""
        if self._is_started and self._waiting is not None and not self._is_busy:
            self._is_busy, self._sending = True, self._thread.submit(self._send)

    def _send(self) -> None:
        while True:
            with self._lock:
                frame, self._waiting = self._waiting, None
                self._is_busy = frame is not None
            if frame is None:
                return
            self._capture(frame)

    def _capture(self, frame: VideoFrame) -> None:
        sdk = native.sdk()
        kind = sdk.VideoBufferType.RGB24
        turned: Any = ROTATIONS.index(frame.rotation)
        try:
            # `tobytes`, as LiveKit finds the address of no read-only array.
            picture = sdk.VideoFrame(frame.width, frame.height, kind, frame.pixels.tobytes())
            # The time of now: one of an app's own clock would be taken for the age of the picture.
            now = time.monotonic_ns() // 1_000
            self.source.capture_frame(picture, timestamp_us=now, rotation=turned)
        except Exception:  # noqa: BLE001 - logged by `note`
            self._faults.note()
