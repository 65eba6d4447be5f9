"""Time that passes when a test says so."""

from __future__ import annotations

import asyncio
import heapq
import itertools

_QUIET_TURNS = 3
"""Loop turns without anything new after which every task waits for the clock."""


class VirtualClock:
    """A `Clock` whose seconds pass in `advance` and `stall`, and never by themselves."""

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._calls = 0

    def now(self) -> float:
        """Return the virtual time."""
        return self._now

    async def sleep_until(self, at: float) -> None:
        """Wait until the virtual time is `at`."""
        self._calls += 1
        if at <= self._now:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (at, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking each sleeper at its moment."""
        end = self._now + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, at)
            if not future.done():
                future.set_result(None)
            await self._settle()
        self._now = end

    async def stall(self, seconds: float) -> None:
        """Let time pass in which nobody could run, then wake all who are late."""
        await self._settle()
        self._now += seconds
        await self.advance(0.0)

    async def _settle(self) -> None:
        quiet = 0
        while quiet < _QUIET_TURNS:
            before = self._calls
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._calls == before else 0
