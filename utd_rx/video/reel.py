"""Pictures that are there one after the other, delivered as if they were being taken now.

A reel is an iterator of frames whose `timestamp` is counted from its beginning. A thread of its
own reads it, one frame ahead, so that neither decoding nor an app's own iterator holds up the event
loop. What is late is delivered at once. What falls behind for good, as after a suspension or with a
reader that is too slow, goes on from where it is: it is not hurried through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeAlias

from attrs import evolve

from utd_rx.models.video import VideoFrame, VideoSink
from utd_rx.ports.clock import Clock, sleep_until
from utd_rx.ports.one_loop import this_loop

MAX_LATE: Final = 0.5
"""Seconds that are made up for: a garbage collection or an import is less."""

CLOSE_TIMEOUT: Final = 1.0
"""Seconds to wait for a frame that is being read; what reads it for longer is left alone."""

Reel: TypeAlias = Generator[VideoFrame, None, None]
"""Frames in order, `timestamp` in seconds from the first one's moment."""


class PacedReel:
    """An open source of pictures that are read: a `VideoInputStream` with a counter.

    The sink is called on the event loop that made the stream.
    """

    def __init__(self, reel: Reel, sink: VideoSink, clock: Clock, *, name: str) -> None:
        self._reel = reel
        self._sink = sink
        self._clock = clock
        self.delivered_frames = 0
        self._thread = ThreadPoolExecutor(1, name)
        self._task = this_loop("source of pictures").create_task(self._run(), name=name)

    async def wait_ended(self) -> None:
        """Wait until the last frame was delivered or it is closed, or raise what the reel or the
        sink raised. Cancelling is safe."""
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    async def aclose(self) -> None:
        """Stop, also if cancelled; after it returns the sink is called no more. Idempotent."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        following = self._read()
        try:
            frame = await following
            began_at = self._clock.now()
            while frame is not None:
                following = self._read()
                await sleep_until(self._clock, began_at + frame.timestamp)
                late = self._clock.now() - began_at - frame.timestamp
                if late > MAX_LATE:
                    began_at += late
                self._sink(evolve(frame, timestamp=began_at + frame.timestamp))
                self.delivered_frames += 1
                frame = await following
        finally:
            following.cancel()  # whatever comes of it, nobody wants it
            closing = asyncio.wrap_future(self._thread.submit(self._reel.close))
            self._thread.shutdown(wait=False)
            await asyncio.wait([closing], timeout=CLOSE_TIMEOUT)

    def _read(self) -> asyncio.Future[VideoFrame | None]:
        return asyncio.wrap_future(self._thread.submit(next, self._reel, None))
