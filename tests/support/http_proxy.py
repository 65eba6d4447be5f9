"""A small HTTP proxy on loopback, as a company has it: it tunnels, asks who one is, or refuses."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from attrs import Factory, define


@define
class HttpProxy:
    """Answers `CONNECT` with `status` and, when that is 200, opens the tunnel.

    `routes` says where a host and port really are; `login` is the "user:password" it wants to see,
    which it answers with 407 for want of.
    """

    status: int = 200
    login: str | None = None
    routes: Mapping[str, tuple[str, int]] = Factory(dict)
    url: str = ""
    asked: list[str] = Factory(list)
    _tasks: set[asyncio.Task[None]] = Factory(set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="proxied connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target, _ = head[0].split(" ")
            self.asked.append(target)
            status = self._judge(method, dict(line.split(": ", 1) for line in head[1:] if line))
            writer.write(f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\n\r\n".encode())
            if status == 200:
                await self._tunnel(target, reader, writer)
        except (OSError, ExceptionGroup, asyncio.IncompleteReadError):
            pass  # either side hung up
        finally:
            writer.close()

    def _judge(self, method: str, headers: Mapping[str, str]) -> int:
        if method != "CONNECT":
            return 405
        if self.login is not None:
            _, _, said = headers.get("Proxy-Authorization", "").partition("Basic ")
            if b64decode(said).decode() != self.login:
                return 407
        return self.status

    async def _tunnel(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, _, port = target.rpartition(":")
        upstream, to_upstream = await asyncio.open_connection(
            *self.routes.get(target, (host, int(port)))
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, to_upstream))
                group.create_task(_pump(upstream, writer))
        finally:
            to_upstream.close()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def http_proxy() -> AsyncIterator[HttpProxy]:
    """Run a proxy."""
    proxy = HttpProxy()
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.aclose()
        await server.wait_closed()
