"""A signal socket as a client has it, bare: frames in, frames out, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import WSMsgType
from attrs import frozen

from tests.engine.fakes import settle

PATIENCE = 20.0
"""Seconds until a wait counts as hung; nothing here measures time."""

UNKNOWN = {"type": "whatever"}


@frozen
class Wire:
    """One socket; nothing is answered by itself but a close, and that by who reads."""

    ws: aiohttp.ClientWebSocketResponse

    async def say(self, frame: object) -> None:
        await self.ws.send_json(frame)
        await settle()

    async def next(self) -> aiohttp.WSMessage:
        return await self.ws.receive(PATIENCE)

    async def hear(self) -> dict[str, Any]:
        """The next frame, which is JSON."""
        found: dict[str, Any] = await self.ws.receive_json(timeout=PATIENCE)
        return found

    async def is_asked(self) -> None:
        """A ping comes, and is answered."""
        message = await self.next()
        assert message.type is WSMsgType.PING
        await self.ws.pong(message.data)
        await settle()

    async def end(self) -> int | None:
        """How it ends; what comes before is read."""
        async with asyncio.timeout(PATIENCE):
            async for _ in self.ws:
                pass
        return self.ws.close_code

    async def is_refused_politely(self) -> None:
        """It is there, and nothing was told before."""
        await self.say(UNKNOWN)
        assert (await self.hear())["type"] == "error"

    async def authenticate(self, token: str) -> None:
        await self.say({"type": "auth", "token": token})
        assert await self.hear() == {"type": "auth_ok"}


@asynccontextmanager
async def connected(
    http: aiohttp.ClientSession, url: str, token: str | None = None
) -> AsyncIterator[Wire]:
    """A socket, authenticated where a token is given."""
    async with http.ws_connect(url, autoping=False, timeout=_HASTY) as ws:
        wire = Wire(ws)
        await settle()
        if token is not None:
            await wire.authenticate(token)
        yield wire


_HASTY = aiohttp.ClientWSTimeout(ws_close=1.0)
"""Who is cut off answers no close."""
