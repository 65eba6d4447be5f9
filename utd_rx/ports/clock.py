"""The clock port: one for the whole client."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, runtime_checkable

from attrs import frozen

Cancel: TypeAlias = Callable[[], None]
"""Takes a callback back; nothing when it was called already."""


@runtime_checkable
class Clock(Protocol):
    """What time it is, and being called at a time; `testing.FakeClock` is moved by a test."""

    def now(self) -> float:
        """Return monotonic seconds, the time base of every deadline; `AudioFrame.at` is always the
        machine's."""

    def wall(self) -> float:
        """Return Unix time in seconds: for people and for the wire, never for a deadline."""

    def call_at(self, at: float, callback: Callable[[], None]) -> Cancel:
        """Call back on the running loop when `now()` is at least `at`, or soon if it is already."""

    def jitter(self) -> float:
        """Return a number in [0, 1) that spreads what many clients would do at once."""


@frozen
class SystemClock:
    """The machine's time, on asyncio's loop."""

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def call_at(self, at: float, callback: Callable[[], None]) -> Cancel:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(max(0.0, at - time.monotonic()), lambda: due())

        def due() -> None:
            nonlocal timer
            # A loop's timers may be early by its clock's resolution, and no deadline is due then.
            left = at - time.monotonic()
            if left > 0:
                timer = loop.call_later(left, due)
            else:
                callback()

        return lambda: timer.cancel()

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - it spreads load, and guards nothing


SYSTEM_CLOCK: Final = SystemClock()


async def sleep_until(clock: Clock, at: float) -> None:
    """Wait until `at`; yields to the loop once when it has passed. Cancelling is safe."""
    is_due = asyncio.get_running_loop().create_future()
    cancel = clock.call_at(at, lambda: None if is_due.done() else is_due.set_result(None))
    try:
        await is_due
    finally:
        cancel()
