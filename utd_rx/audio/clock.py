"""The clock port of paced sources: what time it is, and waiting until a time."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

from attrs import frozen


class Clock(Protocol):
    """Monotonic time in seconds; a test hands in one that it advances by itself."""

    def now(self) -> float:
        """Return the time in seconds."""

    async def sleep_until(self, at: float) -> None:
        """Wait until `at`; yields to the loop once when `at` has passed.

        Cancelling is safe.
        """


@frozen
class MonotonicClock:
    """`time.monotonic()`, the time base of `AudioFrame.at`."""

    def now(self) -> float:
        """Return the time in seconds."""
        return time.monotonic()

    async def sleep_until(self, at: float) -> None:
        """Wait until `at`; yields to the loop once when `at` has passed.

        Cancelling is safe.
        """
        await asyncio.sleep(max(0.0, at - time.monotonic()))


MONOTONIC: Final = MonotonicClock()
