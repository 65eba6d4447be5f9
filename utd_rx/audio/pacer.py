"""Sound that is already there, delivered as if it were being spoken now.

Frame `k` belongs to the moment `started_at + k * 10 ms`: a late timer delays one, not the next.
After a stall (a blocked event loop, a suspended machine) up to `MAX_CATCH_UP` is delivered at once.
What is older is skipped and counted: delivered late it would stay as delay for good
(docs/audio.md, "Cards and sound servers").
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Final, TypeAlias

from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.ports.clock import Clock, sleep_until
from utd_rx.ports.one_loop import this_loop

logger = logging.getLogger(__name__)

MAX_CATCH_UP: Final = 0.1
"""Seconds of sound delivered in one burst after a stall: a garbage collection or an import is less.

A track takes 60 ms of it and drops the rest (`utd_rx/rtc/feeder.py`)."""

SKIPPED: Final = "%s: skipped %d ms after a stall of %d ms (%d times so far)"
"""What the log says of a busy loop."""

_MAX_BURST_FRAMES: Final = round(MAX_CATCH_UP * FRAMES_PER_SECOND)

FrameMaker: TypeAlias = Callable[[int], Samples | None]
"""Frame number to read-only int16 `(samples_per_frame, channels)`; None when there are no more.

Numbers only grow, and those of skipped frames are left out."""


class PacedStream:
    """An open source of prepared sound: an `AudioInputStream` with counters.

    The sink is called on the event loop that made the stream. Should it raise, against its
    contract, the stream ends, the loop's exception handler is told, and `wait_ended` raises it.
    `started_at` is when the first sample was due, in seconds of the clock.
    """

    def __init__(
        self,
        make_frame: FrameMaker,
        frame_count: int | None,  # None for no end
        format: AudioFormat,  # noqa: A002 - the word of AudioInput.format
        sink: FrameSink,
        clock: Clock,
        *,
        name: str,
    ) -> None:
        self._make_frame = make_frame
        self._frame_count = sys.maxsize if frame_count is None else frame_count
        self._format = format
        self._sink = sink
        self._clock = clock
        self.started_at = clock.now()
        self.delivered_frames = self.skipped_frames = self._stalls = 0
        self._task = this_loop("source of sound").create_task(self._run(), name=name)
        self._task.add_done_callback(_report_failure)

    async def wait_ended(self) -> None:
        """Wait until the last frame has had its 10 ms, or it is closed. Cancelling is safe."""
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    async def aclose(self) -> None:
        """Stop, also if cancelled; after it returns the sink is called no more. Idempotent."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        index = 0
        while index < self._frame_count:
            await sleep_until(self._clock, self._due(index))
            index = self._skip(index)
            if index == self._frame_count:
                break
            if (samples := self._make_frame(index)) is None:
                break
            self._sink(AudioFrame(samples, self._format.sample_rate, at=self._due(index)))
            self.delivered_frames += 1
            index += 1
        # The last frame sounds for 10 ms more; whoever plays the next source then is in time.
        await sleep_until(self._clock, self._due(index))

    def _due(self, index: int) -> float:
        # From the start and not from the frame before, so that rounding does not add up.
        return self.started_at + index / FRAMES_PER_SECOND

    def _skip(self, index: int) -> int:
        """Return the frame to go on with, having counted those that are too old."""
        newest = int((self._clock.now() - self.started_at) * FRAMES_PER_SECOND + 1e-6)
        resumed = min(newest - _MAX_BURST_FRAMES + 1, self._frame_count)
        if resumed <= index:
            return index
        self.skipped_frames += resumed - index
        self._stalls += 1
        if self._stalls & (self._stalls - 1) == 0:  # a busy loop stalls ten times a second
            logger.warning(
                SKIPPED,
                self._task.get_name(),
                (resumed - index) * 1000 // FRAMES_PER_SECOND,
                (newest - index) * 1000 // FRAMES_PER_SECOND,
                self._stalls,
            )
        return resumed


def _report_failure(task: asyncio.Task[None]) -> None:
    if task.cancelled() or (error := task.exception()) is None:
        return
    task.get_loop().call_exception_handler(
        {"message": f"{task.get_name()}: the sink raised", "exception": error, "task": task}
    )
