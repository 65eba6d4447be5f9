"""Engines that answer as a test tells them to: one over aiohttp, one over a bare socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Any, TypeAlias

from aiohttp import web
from attrs import Factory, define, field, frozen

Answer: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@frozen
class Seen:
    """A request as it arrived."""

    method: str
    raw_path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@define
class ScriptedEngine:
    """Gives its answers in order, the last one for ever."""

    base_url: str = ""
    answers: list[Answer] = Factory(list)
    seen: list[Seen] = Factory(list)
    never: asyncio.Event = field(factory=asyncio.Event)

    def will(self, *answers: Answer) -> None:
        self.answers = list(answers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        self.seen.append(
            Seen(
                request.method,
                request.rel_url.raw_path,
                dict(request.query),
                dict(request.headers),
                json.loads(text) if text else None,
            )
        )
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    async def hang(self, _: web.Request) -> web.StreamResponse:
        """Answer when the test is over."""
        await self.never.wait()
        return web.Response()

    async def stall(self, request: web.Request) -> web.StreamResponse:
        """Send the head and half of the body, the rest when the test is over."""
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"half":')
        await self.never.wait()
        return response


def reply(body: object = None, status: int = 200, **headers: str) -> Answer:
    """Answer with JSON; in header names `_` stands for `-`."""
    return raw(json.dumps({} if body is None else body).encode(), status, **headers)


def raw(body: bytes, status: int = 200, **headers: str) -> Answer:
    """Answer with these bytes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=named)

    return answer


@asynccontextmanager
async def scripted_engine(tls: SSLContext | None = None) -> AsyncIterator[ScriptedEngine]:
    engine = ScriptedEngine()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", engine.handle)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0][:2]
    engine.base_url = f"http://{host}:{port}"
    try:
        yield engine
    finally:
        engine.never.set()
        await runner.cleanup()


@define
class SocketEngine:
    """Reads one request per connection, writes `answer` and hangs up."""

    answer: bytes
    base_url: str = ""
    connections: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.split(b":")[1]))
        writer.write(self.answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def socket_engine(answer: bytes) -> AsyncIterator[SocketEngine]:
    engine = SocketEngine(answer)
    server = await asyncio.start_server(engine.handle, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    engine.base_url = f"http://{host}:{port}"
    async with server:
        yield engine
