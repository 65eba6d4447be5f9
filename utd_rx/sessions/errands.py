"""What is asked of the engine and has to be finished, whoever waited for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

R = TypeVar("R")


class Errands:
    """Tasks that go on when those who began them are cancelled, until they are closed."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, R], name: str) -> asyncio.Task[R]:
        """Run `work`; what it raises is for whoever awaits it, if anybody does."""
        task = asyncio.get_running_loop().create_task(work, name=f"utd_rx {name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def settled(self) -> None:
        """Return when nothing is under way. Cancelling is safe."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def aclose(self, timeout: float) -> None:
        """Wait for at most `timeout` seconds, then cancel what is under way. Idempotent."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + timeout
        while self._tasks and loop.time() < ends_at:
            await asyncio.wait(list(self._tasks), timeout=ends_at - loop.time())
        for task in list(self._tasks):
            task.cancel()
        await self.settled()

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: nobody may be left to see it
