"""Tasks with an owner: named, their failures reported, none left after `aclose()`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from utd_rx.errors import ConflictReason, conflict

logger = logging.getLogger(__name__)


def require_loop(what: str) -> None:
    """Check that an event loop of asyncio runs here, or raise `FOREIGN_LOOP`: `what` needs one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise conflict(
            ConflictReason.FOREIGN_LOOP,
            f"{what} needs a running event loop of asyncio, and here is none: start it in an "
            "`async def` that asyncio.run() runs, or in a LoopThread; trio has no such loop",
        ) from None


class OwnedTasks:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` in a task; a failure is logged, since nobody need await it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def aclose(self) -> None:
        """Cancel what still runs and wait for it. Idempotent."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("task %s failed", task.get_name(), exc_info=error)
