"""Time that passes only where somebody waits for it, and at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class EagerClock:
    """A `Clock` for what waits on threads as well: waiting until a moment makes it that moment."""

    def __init__(self, now: float = 1000.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time

    def jitter(self) -> float:
        return 0.5

    def call_at(self, at: float, callback: Callable[[], None]) -> Callable[[], None]:
        def pass_time() -> None:
            self.time = max(self.time, at)
            callback()

        return asyncio.get_running_loop().call_soon(pass_time).cancel
