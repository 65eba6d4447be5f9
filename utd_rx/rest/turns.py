"""Whose call goes out next: as many at a time as there are connections, the others in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from utd_rx.errors import ConflictReason, conflict

AT_A_TIME: Final = 100
"""Calls with the engine; aiohttp's default of connections, whose own queue has no bound."""

MAX_WAITING: Final = 1000
"""Calls that wait for their turn, first come, first served; who comes when it is full is refused.
More than anybody asks for at once, and minutes of waiting for an engine that is slow."""


class Turns:
    """The turns of one client; a shared `session` with fewer connections has as many turns."""

    def __init__(self, session: aiohttp.ClientSession | None) -> None:
        connector = None if session is None else session.connector
        limits = [] if connector is None else [connector.limit, connector.limit_per_host]
        self._free = asyncio.Semaphore(min(filter(None, [*limits, AT_A_TIME])))  # 0 is no limit
        self._waiting = 0

    @asynccontextmanager
    async def take(self, limit: asyncio.Timeout) -> AsyncIterator[None]:
        """Wait for a turn, and have it inside; `limit`, which is entered, stands meanwhile.

        Raises:
            UTDStreamException: `CONFLICT`, reason `BUSY`: too many wait already.
        """
        if not self._free.locked():
            await self._free.acquire()  # at once
        elif self._waiting < MAX_WAITING:
            await self._wait(limit)
        else:
            raise conflict(
                ConflictReason.BUSY, f"{MAX_WAITING} calls wait already, so this one was not sent"
            )
        try:
            yield
        finally:
            self._free.release()

    async def _wait(self, limit: asyncio.Timeout) -> None:
        now, ends_at = asyncio.get_running_loop().time, limit.when()
        began = now()
        self._waiting += 1
        limit.reschedule(None)
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
            limit.reschedule(None if ends_at is None else ends_at + now() - began)
