"""The engine's only source of time, so that tests can bring their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """Something due at a time; cancelling twice is harmless."""

    def cancel(self) -> None: ...


class EngineClock(Protocol):
    """Deadlines are in `monotonic()` seconds; `wall()` is for what people and tokens read."""

    def monotonic(self) -> float: ...
    def wall(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], None]) -> Timer: ...
    async def sleep(self, seconds: float) -> None: ...


class LoopEngineClock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        return time.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_at(when, callback)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def to_iso(wall: float) -> str:
    """Return wall-clock seconds as ISO 8601 UTC, as the wire has them."""
    text = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
