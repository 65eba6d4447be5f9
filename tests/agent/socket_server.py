"""The other end of an agent's socket, which says what a test has it say and no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from attrs import Factory, define

from utd_rx.engine.agent.line import GOODBYE_SECONDS, MAX_FRAME_BYTES, AgentLine
from utd_rx.engine.web_socket import UpgradedRequest


@define
class SocketServer:
    """A WebSocket server for one connection after another.

    Attributes:
        url: Where it is.
        requests: The connections so far.
        received: The frames so far, of all connections.
        refuses_with: What every connection is answered with, None for a WebSocket.
        line: The newest connection's.
    """

    url: str = ""
    requests: list[web.BaseRequest] = Factory(list)
    received: list[str | bytes] = Factory(list)
    refuses_with: web.Response | None = None
    line: AgentLine | None = None
    _live: int = 0
    _changed: asyncio.Event = Factory(asyncio.Event)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        self._changed.set()
        if self.refuses_with is not None:
            return self.refuses_with
        assert isinstance(request, web.Request)
        upgraded = UpgradedRequest(request, max_frame=MAX_FRAME_BYTES, close_within=GOODBYE_SECONDS)
        self.line = line = AgentLine(upgraded)
        self._live += 1
        try:
            await line.open()
            await line.serve(self._take)
            return upgraded.response
        finally:
            self._live -= 1
            self._changed.set()

    async def reached(self) -> None:
        """Wait until there was a connection."""
        while not self.requests:
            await self._change()

    async def has_received(self, count: int) -> list[str]:
        """Wait for so many frames in all; return them."""
        while len(self.received) < count:
            await self._change()
        return [str(frame) for frame in self.received]

    async def deserted(self) -> int | None:
        """Wait until there is no connection; return the code that the last one was closed with."""
        while self._live:
            await self._change()
        return self.line.end if self.line else None

    async def _take(self, frame: str | bytes) -> None:
        self.received.append(frame)
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


@asynccontextmanager
async def socket_server() -> AsyncIterator[SocketServer]:
    server = SocketServer()
    app = web.Application()
    app.router.add_get("/connect", server.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/connect"
    try:
        yield server
    finally:
        if server.line is not None:
            server.line.cut()
        await runner.cleanup()


@asynccontextmanager
async def mute_server() -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Event]]:
    """Take connections and say nothing; give the URL, and what is set when one came and went."""
    came, went = asyncio.Event(), asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        try:
            while await reader.read(65_536):
                pass
        except ConnectionError:
            pass
        went.set()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/connect", came, went
