"""A customer's backend on loopback, which takes webhooks and checks every one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from attrs import Factory, define, frozen

from utd_rx import verify_webhook

SECRET = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3"
PATIENCE = 20.0
"""Seconds until a wait counts as hung; nothing here measures time."""


@frozen
class Got:
    """A webhook that came, once its signature was found good."""

    attempt: str
    event: str
    body: dict[str, Any]


@define
class Backend:
    """Answers with the next of `statuses`, then with 200, and while `is_mute` not at all."""

    url: str = ""
    statuses: list[int] = Factory(list)
    got: asyncio.Queue[Got] = Factory(asyncio.Queue)
    is_mute: bool = False
    ended: asyncio.Event = Factory(asyncio.Event)

    async def receive(self, request: web.Request) -> web.Response:
        body, headers = await request.read(), request.headers
        event = verify_webhook(body, headers["X-UTD-Stream-Signature"], SECRET)
        assert event.event == headers["X-UTD-Stream-Event"]
        assert headers["Content-Type"] == "application/json"
        self.got.put_nowait(Got(headers["X-UTD-Stream-Attempt"], event.event, json.loads(body)))
        if self.is_mute:
            await self.ended.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async def next(self) -> Got:
        async with asyncio.timeout(PATIENCE):
            return await self.got.get()


@asynccontextmanager
async def running_backend() -> AsyncIterator[Backend]:
    backend = Backend()
    app = web.Application()
    app.router.add_route("POST", "/hooks", backend.receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        backend.url = f"http://{host}:{port}/hooks"
        yield backend
    finally:
        backend.ended.set()
        await runner.cleanup()
