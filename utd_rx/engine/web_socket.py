"""The engine's end of a WebSocket, and aiohttp's as one."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from aiohttp import WSMsgType, web


class Frame(Protocol):
    """A frame that came, or the end of its connection."""

    @property
    def type(self) -> WSMsgType: ...
    @property
    def data(self) -> Any: ...


class WebSocket(Protocol):
    """One connection; sending raises `ConnectionError` where the other side is gone."""

    async def open(self) -> None: ...
    async def receive(self) -> Frame: ...
    async def send_str(self, data: str) -> None: ...
    async def send_bytes(self, data: bytes) -> None: ...
    async def ping(self) -> None: ...
    async def pong(self, data: bytes) -> None: ...

    async def close(self, code: int, reason: str = "") -> None:
        """Say goodbye and wait for the other side's; whoever reads was stopped before."""

    def abort(self) -> None:
        """Break the connection, without a goodbye."""

    def hold(self) -> None:
        """Take nothing more, so that the system answers nothing either, and stay connected."""


class UpgradedRequest:
    """The WebSocket that aiohttp makes of `request`, which is answered with `response`.

    Args:
        request: Who wants one.
        max_frame: Bytes of a frame at most.
        close_within: Seconds for the other side to answer a goodbye.
    """

    def __init__(self, request: web.Request, *, max_frame: int, close_within: float) -> None:
        self._request = request
        # Pings are answered, and sent, by who serves it; nothing is worth being decompressed.
        self.response = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=max_frame, timeout=close_within
        )
        self.receive = self.response.receive
        self.send_str = self.response.send_str
        self.send_bytes = self.response.send_bytes
        self.ping = self.response.ping
        self.pong = self.response.pong

    async def open(self) -> None:
        await self.response.prepare(self._request)

    async def close(self, code: int, reason: str = "") -> None:
        # Nobody else reads now, or aiohttp would not wait for the other side's goodbye,
        # without which its own client takes the code for a lost connection.
        await self.response.close(code=code, message=reason.encode(), drain=False)

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    def hold(self) -> None:
        if (transport := self._request.transport) is not None:
            assert isinstance(transport, asyncio.Transport)
            transport.pause_reading()
