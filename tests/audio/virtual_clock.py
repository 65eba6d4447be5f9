"""Time that passes when a test says so."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

_QUIET_TURNS = 4
"""Loop turns without anything new after which every task waits for the clock."""


class VirtualClock:
    """A `Clock` whose seconds pass in `advance` and `stall`, and never by themselves."""

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self._calls: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._made = 0

    def now(self) -> float:
        """Return the virtual time."""
        return self._now

    def wall(self) -> float:
        """Return the virtual time."""
        return self._now

    def jitter(self) -> float:
        """Return the middle."""
        return 0.5

    def call_at(self, at: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when the virtual time is `at`."""
        self._made += 1
        if at <= self._now:
            return asyncio.get_running_loop().call_soon(callback).cancel
        entry = (at, next(self._order), callback)
        heapq.heappush(self._calls, entry)

        def cancel() -> None:
            if entry in self._calls:
                self._calls.remove(entry)
                heapq.heapify(self._calls)

        return cancel

    async def advance(self, seconds: float) -> None:
        """Let time pass, calling back each at its moment."""
        end = self._now + seconds
        await self._settle()
        while self._calls and self._calls[0][0] <= end:
            at, _, callback = heapq.heappop(self._calls)
            self._now = max(self._now, at)
            callback()
            await self._settle()
        self._now = end

    async def stall(self, seconds: float) -> None:
        """Let time pass in which nobody could run, then call back all that are late."""
        await self._settle()
        self._now += seconds
        await self.advance(0.0)

    async def _settle(self) -> None:
        quiet = 0
        while quiet < _QUIET_TURNS:
            before = self._made
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._made == before else 0
