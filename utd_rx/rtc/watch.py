"""Remote video: one native stream and decoder of a track, however many look at it.

Frames are decoded and turned into RGB on LiveKit's threads. There one waits for the loop, the
newest, and is copied when the loop takes it: what nobody sees costs nothing more, and memory that
another thread allocates for each copy would cost more than the copy. Frames are stamped by the
machine's clock when they arrive, as sound is.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import frozen

from utd_rx.models.faults import Faults
from utd_rx.models.video import MIN_SIDE, VideoFrame
from utd_rx.ports.crossing import Box
from utd_rx.ports.room import PicturesSink
from utd_rx.rtc import native_frames, streams
from utd_rx.rtc.pictures import ROTATIONS
from utd_rx.rtc.reception import Reception

if TYPE_CHECKING:
    from livekit import rtc


@frozen(eq=False)
class _View:
    sink: PicturesSink
    max_height: int | None


class Watch(Reception):
    """The pictures of one remote track, for all who look at it from this loop, by number."""

    def __init__(self, sid: str) -> None:
        super().__init__(sid)
        self._views: dict[int, _View] = {}
        self._faults = Faults(logging.getLogger("utd_rx.rtc"), "a picture was lost")
        loop = asyncio.get_running_loop()
        self._box: Box[tuple[native_frames.NativePicture, float]] = Box(loop, self._show, bound=1)

    @property
    def heights(self) -> tuple[int | None, ...]:
        """What is asked for; None is all there is."""
        return tuple(view.max_height for view in self._views.values())

    def add(self, number: int, sink: PicturesSink, max_height: int | None) -> None:
        """Show frames to `sink`."""
        self._views[number] = _View(sink, max_height)

    async def leave(self, number: int) -> None:
        """Show frames to that sink no more; it is silent at once."""
        self._views.pop(number, None)
        if not self._views:
            await self.aclose()

    async def aclose(self) -> None:
        self._views.clear()
        self._box.close()
        self._box.flush()  # what waits is given back
        await super().aclose()

    def _open(self, track: rtc.Track, on_end: Callable[[], None]) -> int:
        return streams.exchange().open_video(track, self._take, on_end)

    def _take(self, picture: native_frames.NativePicture) -> None:
        if self.gate.is_open:
            self._box.post((picture, time.monotonic()))

    def _show(self, newest: tuple[tuple[native_frames.NativePicture, float], ...]) -> None:
        try:
            [(picture, at)] = newest
            pixels = picture.pixels()
            if min(pixels.shape[:2]) < MIN_SIDE:
                return  # no picture of anybody's (docs/livekit.md, "Blank pictures")
            frame = VideoFrame(pixels, at, ROTATIONS[picture.rotation])
        except Exception:  # noqa: BLE001 - logged by `note`
            self._faults.note()
            return
        for number, view in tuple(self._views.items()):
            if number in self._views:  # nobody before it told it to look away
                view.sink(frame)
