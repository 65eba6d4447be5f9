"""The rate limit: requests a minute, mints counted apart (facts/utd-engine.md §7.4, 28)."""

from __future__ import annotations

import math
from typing import Final

from attrs import field, frozen

from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.models.frozen_map import FrozenMap

WINDOW_SECONDS: Final = 60.0


@frozen
class Window:
    """How many requests came since `started_at`."""

    started_at: float
    count: int


@frozen
class Limits:
    """One window per bucket; the buckets are few and fixed (`mint`, `rest`)."""

    per_minute: int
    windows: FrozenMap[str, Window] = field(factory=FrozenMap)


def count_request(limits: Limits, bucket: str, now: float) -> Limits:
    """Count one request.

    Raises:
        Refusal: 429 with the seconds left of the minute, when the bucket is empty.
    """
    window = limits.windows.get(bucket)
    if window is None or now >= window.started_at + WINDOW_SECONDS:
        window = Window(now, 0)
    if window.count >= limits.per_minute:
        wait = math.ceil(window.started_at + WINDOW_SECONDS - now)
        raise Refusal(
            Reason.RATE_LIMITED,
            f"more than {limits.per_minute} requests a minute; retry in {wait} s",
            retry_after=wait,
        )
    window = Window(window.started_at, window.count + 1)
    return Limits(limits.per_minute, limits.windows.set(bucket, window))
