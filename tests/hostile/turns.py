"""What the turns of a loop cost, in time of the processor: a busy neighbour does not add to it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

MOST: Final = 0.1
"""Seconds that a turn may cost: a signal message of 2 MB takes 25 ms to decode, the answer to an
offer of 600 sections 10, and a machine that shares its cores is four times as slow."""

_LOOK_EVERY: Final = 0.002


class Turns:
    """The worst turn since it was taken last."""

    def __init__(self) -> None:
        self._worst = 0.0
        self._last = time.thread_time()

    async def watch(self) -> None:
        """Look, and never end."""
        while True:
            self._last = time.thread_time()
            await asyncio.sleep(_LOOK_EVERY)
            self._worst = max(self._worst, time.thread_time() - self._last)

    def check(self, whose: str) -> None:
        """Fail where a turn since the last time cost too much."""
        worst, self._worst = self._worst, 0.0
        assert worst <= MOST, f"beside {whose}: a turn of the loop cost {worst:.3f} s"


@asynccontextmanager
async def turns() -> AsyncIterator[Turns]:
    """Watch this loop for the length of the block.

    What the tests have made before is no garbage of the server's: to look through it took 50 ms.
    """
    gc.collect()
    gc.freeze()
    made = Turns()
    task = asyncio.create_task(made.watch(), name="turns are watched")
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.wait([task])
        gc.unfreeze()
