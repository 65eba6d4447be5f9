"""Remote video: one native stream and decoder of a track, however many look at it.

Frames are decoded, turned into RGB and copied on LiveKit's threads, and wait for the loop in a box
that holds the newest. They are stamped by the machine's clock when they arrive, as sound is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import frozen

from utd_rx.models.video import Pixels, VideoFrame
from utd_rx.ports.crossing import Box
from utd_rx.ports.room import PicturesSink
from utd_rx.rtc import streams
from utd_rx.rtc.pictures import ROTATIONS
from utd_rx.rtc.reception import Reception

if TYPE_CHECKING:
    from livekit import rtc


@frozen(eq=False)
class _View:
    box: Box[VideoFrame]
    max_height: int | None


class Watch(Reception):
    """The pictures of one remote track, for all who look at it, by number."""

    def __init__(self, sid: str) -> None:
        super().__init__(sid)
        self._views: dict[int, _View] = {}  # replaced, not changed: LiveKit's threads read it

    @property
    def heights(self) -> tuple[int | None, ...]:
        """What is asked for; None is all there is."""
        return () if self.has_ended else tuple(one.max_height for one in self._views.values())

    def add(self, number: int, sink: PicturesSink, max_height: int | None) -> None:
        """Show frames to `sink`, on this loop."""
        box = Box[VideoFrame](asyncio.get_running_loop(), lambda frames: sink(*frames), bound=1)
        self._views = {**self._views, number: _View(box, max_height)}

    def remove(self, number: int) -> None:
        """Show that sink no more, from now on. Idempotent."""
        view = self._views.get(number)
        if view is not None:
            view.box.close()
            self._views = {n: other for n, other in self._views.items() if n != number}

    async def leave(self, number: int) -> None:
        self.remove(number)
        if not self._views:
            await self.aclose()

    async def aclose(self) -> None:
        for number in self._views:
            self.remove(number)
        await super().aclose()

    def _open(self, track: rtc.Track, on_end: Callable[[], None]) -> int:
        return streams.exchange().open_video(track, self._take, on_end)

    def _take(self, picture: tuple[Pixels, int]) -> None:
        pixels, rotation = picture
        frame = VideoFrame(pixels, time.monotonic(), ROTATIONS[rotation])
        for view in self._views.values():
            view.box.post(frame)
