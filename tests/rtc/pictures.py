"""What the tests of video share: a camera that does as it is told, and eyes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.rtc.bench import PATIENCE
from utd_rx.errors import UTDStreamException
from utd_rx.models.video import VideoFormat, VideoFrame, VideoSink
from utd_rx.rtc.room import UTDRoom
from utd_rx.video import TestPattern, read_counter


class Camera:
    """A test pattern, or a source that delivers by hand; counts how often it was and is opened."""

    def __init__(self, video_format: Any = None, *, pattern: TestPattern | None = None) -> None:
        self.format = video_format or VideoFormat(320, 180, 15)
        self.pattern = pattern
        self.opened = self.open_streams = 0
        self.error: BaseException | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked, self.watched = asyncio.Event(), asyncio.Event()
        self.sink: VideoSink = lambda frame: None
        self.told: Callable[[UTDStreamException | None], None] = lambda failure: None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, sink: VideoSink) -> CameraStream:
        self.asked.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.opened += 1
        self.open_streams += 1
        self.sink = sink
        return CameraStream(self, None if self.pattern is None else await self.pattern.open(sink))


class CameraStream:
    """An open `Camera`."""

    def __init__(self, camera: Camera, stream: Any) -> None:
        self._camera = camera
        self._stream = stream
        self._is_closed = False

    def watch(self, told: Callable[[UTDStreamException | None], None]) -> None:
        self._camera.told = told
        self._camera.watched.set()

    async def wait_ended(self) -> None:
        await asyncio.shield(self._camera.over)

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()
        if not self._is_closed:
            self._is_closed = True
            self._camera.open_streams -= 1


class Eye:
    """Sees the frames of one remote track, and keeps the last of them."""

    def __init__(self) -> None:
        self.frames: list[VideoFrame] = []
        self.counters: list[int | None] = []
        self._news = asyncio.Event()

    def take(self, frame: VideoFrame) -> None:
        self.frames = [*self.frames[-2:], frame]
        self.counters.append(read_counter(frame))
        self._news.set()

    @property
    def numbers(self) -> list[int]:
        """The counters that could be read."""
        return [counter for counter in self.counters if counter is not None]

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds after some frame."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def see(self, count: int) -> None:
        """Wait for so many frames more whose number can be read."""
        enough = len(self.numbers) + count
        await self.wait(lambda: len(self.numbers) >= enough)

    async def see_rows(self, height: int) -> None:
        """Wait for a frame so high."""
        await self.wait(lambda: bool(self.frames) and self.frames[-1].height == height)


@asynccontextmanager
async def looking(room: UTDRoom, sid: str, *, max_height: int | None = None) -> AsyncIterator[Eye]:
    """Look at a subscribed track until the end of the block."""
    eye = Eye()
    view = await room.look(sid, eye.take, max_height=max_height)
    try:
        yield eye
    finally:
        await room.unlook(view)
