"""What time it is in a world: that of its loop, for the client and for the engine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final

from utd_rx.engine.engine_clock import LoopEngineClock
from utd_rx.ports.clock import Cancel

EPOCH: Final = 1_800_000_000.0
"""Unix time at which every world begins."""


class WorldClock:
    """A `Clock` on the time of the running loop; jitter is drawn from `dice`."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return EPOCH + self.now()

    def call_at(self, at: float, callback: Callable[[], None]) -> Cancel:
        loop = asyncio.get_running_loop()
        timer = loop.call_at(at, lambda: due())

        def due() -> None:
            nonlocal timer
            # Two that are due within a loop's resolution are called together.
            if loop.time() < at:
                timer = loop.call_at(at, due)
            else:
                callback()

        return lambda: timer.cancel()

    def jitter(self) -> float:
        return self._dice.random()


LOOP_CLOCK: Final = WorldClock(random.Random(0))  # noqa: S311 - it guards nothing
"""The clock of whatever draws no jitter."""


class WorldEngineClock(LoopEngineClock):
    """The engine's."""

    def wall(self) -> float:
        return EPOCH + self.monotonic()
