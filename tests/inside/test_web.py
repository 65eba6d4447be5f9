"""Thirty browsers follow a stream behind uvicorn and vanish; told to stop, the server does."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.inside.frameworks import need
from tests.inside.programs import PATIENCE, Program

BROWSERS = 30


class Follower:
    """A browser that follows a stream by one of the three ways there are to it."""

    def __init__(self, number: int, url: str) -> None:
        self._path = ("/seats/", "/seats/", "/rooms/0/seats")[number % 3]
        self._by_socket = number % 3 > 0
        self._url = url
        self._session = aiohttp.ClientSession()
        self._stream: Any = None

    async def open(self) -> None:
        session, where = self._session, self._url + self._path
        opening = session.ws_connect(where) if self._by_socket else session.get(where)
        self._stream = await opening

    async def hear(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            if self._by_socket:
                return await self._stream.receive_json()
            while not (line := await self._stream.content.readline()).startswith(b"data: "):
                assert line, "the server has ended it"
            return json.loads(line.removeprefix(b"data: "))

    async def until_ended(self) -> None:
        async with asyncio.timeout(PATIENCE):
            if self._by_socket:
                while (await self._stream.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
            else:
                await self._stream.content.read()

    async def vanish(self) -> None:
        """Go without a word: the connection ends, and no frame says so before."""
        await self._session.close()
        if self._stream is not None:
            closing = self._stream.close()  # which has nothing to say it by any more
            if self._by_socket:
                await closing


@pytest.mark.long
async def test_thirty_browsers_that_vanish_and_a_server_that_stops() -> None:
    for framework in ("fastapi", "uvicorn", "websockets"):
        need(framework)
    server = await Program.start("web_program")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.kill)
        url = await server.hear()
        asking = await stack.enter_async_context(aiohttp.ClientSession(url))
        browsers = [Follower(number, url) for number in range(BROWSERS + 3)]
        for browser in browsers:
            stack.push_async_callback(browser.vanish)
        for browser in browsers:
            await browser.open()
            assert (await browser.hear())["seats"][1]["identity"] is None
        async with asking.post("/sit/1"):
            pass
        for browser in browsers:
            assert (await browser.hear())["seats"][1]["identity"] == "me"
        for browser in browsers[:BROWSERS]:
            await browser.vanish()
        staying = browsers[BROWSERS:]
        async with asyncio.timeout(PATIENCE):
            while True:  # until the server has noticed
                async with asking.get("/state") as reply:
                    state = await reply.json()
                if state["stream"].endswith(f" {len(staying)} observers>"):
                    break
        assert state["seats"]["seats"][1]["identity"] == "me"
        async with asking.post("/sit/0"):
            pass
        for browser in staying:
            assert (await browser.hear())["seats"][0]["identity"] == "me"
        server.process.send_signal(signal.SIGTERM)
        for browser in staying:
            await browser.until_ended()
        assert await server.hear() == "the room is closed"
        status, said = await server.end()
        assert (status, said) == (-signal.SIGTERM, "")
