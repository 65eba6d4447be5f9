"""Pictures that can be made at any time, delivered as if a camera took them now.

Frame `k` belongs to the moment `started_at + k / fps`. What a stall made old is left out: nobody
wants to see it late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from utd_rx.models.video import Pixels, VideoFrame, VideoSink
from utd_rx.ports.clock import Clock, sleep_until
from utd_rx.ports.one_loop import this_loop

PictureMaker: TypeAlias = Callable[[int], Pixels]
"""Frame number to uint8 RGB `(height, width, 3)`, an array of its own."""


class PacedPictures:
    """An open source of pictures without end: a `VideoInputStream` with counters.

    The sink is called on the event loop that made the stream.
    """

    def __init__(
        self, make_picture: PictureMaker, fps: float, sink: VideoSink, clock: Clock, *, name: str
    ) -> None:
        self._make_picture = make_picture
        self._fps = fps
        self._sink = sink
        self._clock = clock
        self.started_at = clock.now()
        self.delivered_frames = self.skipped_frames = 0
        self._task = this_loop("source of pictures").create_task(self._run(), name=name)

    async def wait_ended(self) -> None:
        """Wait until it is closed, or raise what the sink raised. Cancelling is safe."""
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    async def aclose(self) -> None:
        """Stop, also if cancelled; after it returns the sink is called no more. Idempotent."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        index = 0
        while True:
            await sleep_until(self._clock, self.started_at + index / self._fps)
            newest = int((self._clock.now() - self.started_at) * self._fps + 1e-6)
            self.skipped_frames += max(0, newest - index)
            index = max(index, newest)
            at = self.started_at + index / self._fps
            self._sink(VideoFrame(self._make_picture(index), at))
            self.delivered_frames += 1
            index += 1
