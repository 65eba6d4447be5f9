"""An engine's signal socket to the letter of docs/contract.md, and at a test's command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import WSMsgType, web
from attrs import Factory, define

from utd_rx.models.call import UTDCall
from utd_rx.protocol.wire.calls import call_to_wire

AUTH_WITHIN: Final = 5.0
LONGEST_FRAME: Final = 1_000_000


@define
class SignalEngine:
    """Takes the bearers in `tokens`, and every other for a bad one.

    Attributes:
        url: Where its socket is.
        tokens: The bearers that it takes.
        authenticated: Those it was given so far, in order.
        handshakes: The headers of each.
        ringing: What it repeats after `auth_ok`.
        is_silent: Whether it answers no bearer.
        is_deaf: Whether it answers no ping.
        errors: How often it was sent a frame that it does not know.
        pings: Set by each ping that it answers.
    """

    url: str = ""
    tokens: set[str] = Factory(set)
    authenticated: list[str] = Factory(list)
    handshakes: list[dict[str, str]] = Factory(list)
    ringing: tuple[UTDCall, ...] = ()
    is_silent: bool = False
    is_deaf: bool = False
    errors: int = 0
    pings: asyncio.Event = Factory(asyncio.Event)
    _sockets: list[web.WebSocketResponse] = Factory(list)
    _changed: asyncio.Event = Factory(asyncio.Event)
    _requests: list[web.Request] = Factory(list)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(dict(request.headers))
        socket = web.WebSocketResponse(autoping=False, max_msg_size=LONGEST_FRAME)
        await socket.prepare(request)
        self._sockets.append(socket)
        self._requests.append(request)
        try:
            if await self._admit(socket):
                async for frame in socket:
                    if frame.type is WSMsgType.PING and not self.is_deaf:
                        await socket.pong(frame.data)
                        self.pings.set()
                    elif frame.type is WSMsgType.TEXT:
                        self.errors += 1
                        await socket.send_json({"type": "error", "message": "unknown frame"})
        finally:
            self._sockets.remove(socket)
            self._requests.remove(request)
            self._changed.set()
        return socket

    async def _admit(self, socket: web.WebSocketResponse) -> bool:
        try:
            first = await socket.receive_json(timeout=AUTH_WITHIN)
            token = first["token"] if first["type"] == "auth" else ""
        except (TimeoutError, TypeError, ValueError, KeyError):
            token = ""
        self.authenticated.append(token)
        self._changed.set()
        if self.is_silent:
            async for _ in socket:
                pass
            return False
        if token not in self.tokens:
            # An engine may well repeat what it was given.
            await socket.close(code=4001, message=f"bad bearer {token}".encode()[:100])
            return False
        await socket.send_json({"type": "auth_ok"})
        for call in self.ringing:
            await socket.send_json({"type": "call_incoming", "call": call_to_wire(call)})
        return True

    async def tell(self, *frames: tuple[str, UTDCall]) -> None:
        """Send frames, of kind and call, to every socket."""
        for kind, call in frames:
            wire = {"type": f"call_{kind}", "call": call_to_wire(call)}
            await self.send(json.dumps(wire))

    async def send(self, frame: str | bytes) -> None:
        """Send a frame of any kind."""
        for socket in list(self._sockets):
            send = socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame)
            await send

    def flood(self, frames: bytes) -> None:
        """Send frames as they are on the wire, in one write."""
        for request in self._requests:
            assert request.transport is not None
            request.transport.write(frames)

    async def close(self, code: int, reason: str = "") -> None:
        """Close every socket."""
        for socket in list(self._sockets):
            await socket.close(code=code, message=reason.encode())

    async def pinged(self) -> None:
        """Wait until it has answered another ping."""
        self.pings.clear()
        await self.pings.wait()

    def cut(self) -> None:
        """Break every connection, without a word."""
        for request in self._requests:
            assert request.transport is not None
            request.transport.abort()

    async def reached(self) -> None:
        """Wait until it was given a bearer."""
        while not self.authenticated:
            self._changed.clear()
            await self._changed.wait()

    async def deserted(self) -> None:
        """Wait until there is no socket."""
        while self._sockets:
            self._changed.clear()
            await self._changed.wait()


@asynccontextmanager
async def signal_engine(*tokens: str) -> AsyncIterator[SignalEngine]:
    engine = SignalEngine(tokens=set(tokens))
    app = web.Application()
    app.router.add_get("/api/v1/signal", engine.serve)
    runner = web.AppRunner(app, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    engine.url = f"ws://{host}:{port}/api/v1/signal"
    try:
        yield engine
    finally:
        await runner.cleanup()
