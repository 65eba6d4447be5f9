"""A TCP proxy in front of an SFU's signalling that is slow, or stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Proxy:
    """Forwards to an SFU; `delay` holds back each answer, `freeze` all; `cut` is an outage."""

    def __init__(self, url: str, delay: float = 0.0) -> None:
        target = urlsplit(url)
        self._target = (target.hostname or "", target.port or 0)
        self._delay = delay
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_cut = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    def freeze(self) -> None:
        """Let no answer through any more."""
        self._flows.clear()

    def cut(self) -> None:
        """Hang up on everybody, and on whoever calls until `mend`."""
        self._is_cut = True
        for task in self._tasks:
            task.cancel()

    def mend(self) -> None:
        """Forward again."""
        self._is_cut = False

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        if self._is_cut:
            writer.close()
            return
        task = asyncio.create_task(self._serve(reader, writer), name="proxied connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, to_upstream = await asyncio.open_connection(*self._target)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, to_upstream, answers=False))
                    group.create_task(self._pump(upstream, writer, answers=True))
            finally:
                to_upstream.close()
        except (OSError, ExceptionGroup):
            pass  # either side hung up
        finally:
            writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        while data := await reader.read(65_536):
            if answers:
                await asyncio.sleep(self._delay)
                await self._flows.wait()
            writer.write(data)
            await writer.drain()
        writer.close()

    async def aclose(self) -> None:
        """Hang up on everybody."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


@asynccontextmanager
async def proxied(url: str, delay: float = 0.0) -> AsyncIterator[Proxy]:
    """Run a proxy in front of `url`."""
    proxy = Proxy(url, delay)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.aclose()
        await server.wait_closed()
