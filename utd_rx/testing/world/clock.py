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
    """A `Clock` on the time of `loop`; jitter is drawn from `dice`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dice: random.Random) -> None:
        self._loop = loop
        self._dice = dice

    def now(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return EPOCH + self._loop.time()

    def call_at(self, at: float, callback: Callable[[], None]) -> Cancel:
        timer = self._loop.call_at(at, lambda: due())

        def due() -> None:
            nonlocal timer
            # Two that are due within a loop's resolution are called together.
            if self._loop.time() < at:
                timer = self._loop.call_at(at, due)
            else:
                callback()

        return lambda: timer.cancel()

    def jitter(self) -> float:
        return self._dice.random()


class WorldEngineClock(LoopEngineClock):
    """The engine's."""

    def wall(self) -> float:
        return EPOCH + self.monotonic()
