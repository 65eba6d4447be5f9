"""WebSockets of a world: two ends over one link, with the manners of aiohttp's."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from aiohttp import WSMsgType
from attrs import frozen

from utd_rx.testing.world.network import Lane, Link, LinkNews


@frozen
class VirtualFrame:
    """A frame, or the end of its connection."""

    type: WSMsgType
    data: Any = None
    extra: str | None = None


BROKEN: Final = VirtualFrame(WSMsgType.CLOSED)
"""Behind the last frame of a connection that ended without a goodbye."""

MAX_UNREAD: Final = 256 * 1024
"""Characters on their way or unread, beyond which who sends more waits, as on a full connection."""

SILENT: Final = VirtualFrame(WSMsgType.ERROR)
"""Of one whose other side is gone without a word."""


class VirtualSocket:
    """One end; `joined` makes the two of them. It serves the engine as a `WebSocket`."""

    def __init__(self, link: Link) -> None:
        self._lane = Lane(link)
        self._came: asyncio.Queue[VirtualFrame] = asyncio.Queue()
        self._is_held = False
        self._is_parting = False
        self._unread = 0
        self._was_read = asyncio.Event()
        self.is_over = False
        self.other = self

    async def open(self) -> None: ...

    async def receive(self) -> VirtualFrame:
        """Return the next frame; behind the last one, that it is over."""
        if self.is_over and self._came.empty():
            return BROKEN
        frame = await self._came.get()
        if frame.type is WSMsgType.TEXT:
            self.other.free(len(frame.data))
        return frame

    async def send_str(self, data: str) -> None:
        """Send; waits while too much is unread. Cancelling is safe: it is sent, or not at all."""
        while self._unread > MAX_UNREAD and not self.is_over:
            self._was_read.clear()
            await self._was_read.wait()
        self.send(VirtualFrame(WSMsgType.TEXT, data))
        self._unread += len(data)

    async def send_bytes(self, data: bytes) -> None:
        self.send(VirtualFrame(WSMsgType.BINARY, data))

    async def ping(self) -> None:
        self.send(VirtualFrame(WSMsgType.PING, b""))

    async def pong(self, data: bytes) -> None:
        self.send(VirtualFrame(WSMsgType.PONG, data))

    def part(self, code: int, reason: str = "") -> None:
        """Say goodbye, and read the other side's; nothing when it is over."""
        if not self.is_over and not self._is_parting:
            self._is_parting = True
            self.send(VirtualFrame(WSMsgType.CLOSE, code, reason))

    async def close(self, code: int, reason: str = "") -> None:
        """Say goodbye, and be done with it; nothing when it is over."""
        self._end(VirtualFrame(WSMsgType.CLOSE, code, reason))

    def abort(self) -> None:
        """Break the connection; nothing when it is over."""
        self._is_held = False
        self._end(BROKEN)

    def hold(self) -> None:
        self._is_held = True

    def send(self, frame: VirtualFrame) -> None:
        """Send to the other end; `ConnectionError` after the end of this one."""
        if self.is_over:
            raise ConnectionResetError("the socket is over")
        self._lane.send(partial(self.other.take, frame))

    def free(self, length: int) -> None:
        """So much of what was sent has been read, or need not be waited for."""
        self._unread -= length
        self._was_read.set()

    def take(self, frame: VirtualFrame) -> None:
        """Have a frame of the other end; nothing after the end of this one."""
        if self.is_over or self._is_held:
            return
        if frame.type is WSMsgType.CLOSE and not self._is_parting:
            self.part(frame.data)  # the protocol's own answer
        self.is_over = frame.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)
        self._came.put_nowait(frame)
        if self.is_over:
            self.free(0)

    def _end(self, last: VirtualFrame) -> None:
        if not self.is_over:
            self.send(last)
            self.is_over = True
            self._came.put_nowait(BROKEN)  # whoever reads here
            self.free(0)


class ClientEnd(VirtualSocket):
    """The end of a client, which answers pings, and asks whether anybody is there.

    Args:
        link: The way.
        heartbeat: Seconds of silence before a ping; half as many more, and it reads `SILENT`.
    """

    def __init__(self, link: Link, heartbeat: float) -> None:
        super().__init__(link)
        self._heartbeat = heartbeat
        self._watching = link.watch(self._hear)

    async def receive(self) -> VirtualFrame:
        has_asked = False
        while True:
            try:
                async with asyncio.timeout(self._heartbeat / (2 if has_asked else 1)):
                    frame = await super().receive()
            except TimeoutError:
                if has_asked:
                    return SILENT
                has_asked = True
                await self.ping()
                continue
            has_asked = False
            if frame.type is WSMsgType.PING:
                await self.pong(frame.data)
            elif frame.type is not WSMsgType.PONG:
                return frame

    def drop(self) -> None:
        """Be done with it; the other end hears of it unless it heard an end before."""
        self._watching()
        self.abort()

    def _hear(self, news: LinkNews) -> None:
        if news in (LinkNews.BROKEN, LinkNews.RESTARTED):
            self.take(BROKEN)
            self.other.take(BROKEN)


def joined(link: Link, heartbeat: float) -> tuple[ClientEnd, VirtualSocket]:
    """Return both ends of one socket, the client's first."""
    near, far = ClientEnd(link, heartbeat), VirtualSocket(link)
    near.other, far.other = far, near
    return near, far
