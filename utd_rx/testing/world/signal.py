"""`WorldSignal`: the signal socket of a client in a world, to the genuine hub of its engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from aiohttp import WSMsgType
from attrs import frozen

from utd_rx.engine.signal_socket import WebSocket
from utd_rx.errors import UTDStreamException
from utd_rx.ports.loop_turns import LoopTurns
from utd_rx.ports.signal import SignalEnded, SignalEvent, SignalSink
from utd_rx.rest.checks import checked_signal_url
from utd_rx.rest.failures import timed_out
from utd_rx.rest.signal import HEARTBEAT, OPEN_WITHIN, converse
from utd_rx.testing.world.network import Lane, Link, LinkNews

SILENCE: Final = HEARTBEAT * 1.5
"""Seconds without a frame after which a client takes its socket for broken, as aiohttp's does."""


@frozen
class VirtualFrame:
    """A frame, or the end of its connection."""

    type: WSMsgType
    data: Any = None
    extra: str | None = None


_GONE: Final = VirtualFrame(WSMsgType.CLOSED)


class VirtualSocket:
    """One end of a WebSocket over `link`; `joined` makes the two of them."""

    def __init__(self, link: Link) -> None:
        self._lane = Lane(link)
        self._came: asyncio.Queue[VirtualFrame] = asyncio.Queue()
        self._is_over = False
        self.other = self

    async def open(self) -> None: ...

    async def receive(self) -> VirtualFrame:
        """Return the next frame that is for whoever reads; after the end, that."""
        return _GONE if self._is_over and self._came.empty() else await self._came.get()

    async def send_str(self, data: str) -> None:
        self.send(VirtualFrame(WSMsgType.TEXT, data))

    async def ping(self) -> None:
        self.send(VirtualFrame(WSMsgType.PING, b""))

    async def pong(self, data: bytes) -> None:
        self.send(VirtualFrame(WSMsgType.PONG, data))

    async def close(self, code: int) -> None:
        if not self._is_over:
            self.send(VirtualFrame(WSMsgType.CLOSE, code))
            self.take(_GONE)

    def abort(self) -> None:
        """Break the connection; nothing when it is over."""
        if not self._is_over:
            self.send(_GONE)
            self.take(_GONE)

    def send(self, frame: VirtualFrame) -> None:
        """Send to the other end; `ConnectionError` after the end of this one."""
        if self._is_over:
            raise ConnectionResetError("the socket is over")
        self._lane.send(partial(self.other.take, frame))

    def take(self, frame: VirtualFrame) -> None:
        """Have a frame of the other end; nothing after the end of this one."""
        if not self._is_over:
            self._is_over = frame.type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
            self._came.put_nowait(frame)


class ClientEnd(VirtualSocket):
    """The end of a client, which answers pings and does not wait for ever."""

    async def receive(self) -> VirtualFrame:
        while True:
            try:
                async with asyncio.timeout(SILENCE):
                    frame = await super().receive()
            except TimeoutError:
                return _GONE
            if frame.type is not WSMsgType.PING:
                return frame
            await self.pong(frame.data)


def joined(link: Link) -> tuple[ClientEnd, VirtualSocket]:
    """Return both ends of one socket, the client's first."""
    near, far = ClientEnd(link), VirtualSocket(link)
    near.other, far.other = far, near
    return near, far


class WorldSignal:
    """A `SignalPort` over `link`; `serve` begins to serve the engine's end of a socket."""

    def __init__(self, serve: Callable[[WebSocket], None], link: Link) -> None:
        self._serve = serve
        self._link = link

    async def run(self, url: str, token: str, sink: SignalSink) -> None:
        """See `SignalPort.run`."""
        told = LoopTurns[SignalEvent](sink)
        try:
            checked_signal_url(url)
            end = await self._talk(token, told)
        except UTDStreamException as error:
            end = SignalEnded(None, error)
        finally:
            told.close()
        told.end(end)

    async def _talk(self, token: str, told: LoopTurns[SignalEvent]) -> SignalEnded:
        near, far = joined(self._link)

        def hear(news: LinkNews) -> None:
            if news in (LinkNews.BROKEN, LinkNews.RESTARTED):
                near.take(_GONE)
                far.take(_GONE)

        unwatch = self._link.watch(hear)
        try:
            async with asyncio.timeout(OPEN_WITHIN) as opening:
                await self._link.trip()
                self._serve(far)
                await self._link.trip()
                return await converse(near, token, told, opening)
        except TimeoutError:
            raise timed_out() from None
        finally:
            unwatch()
            near.abort()
