"""The rate limit: requests a minute, mints counted apart (docs/contract.md, "Rate limit")."""

from __future__ import annotations

import math
from typing import Final

from attrs import evolve, field, frozen

from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.models.frozen_map import FrozenMap

WINDOW_SECONDS: Final = 60.0


@frozen
class Limits:
    """Per bucket, of which there are few (`mint`, `rest`): when its window began, and how many."""

    per_minute: int
    windows: FrozenMap[str, tuple[float, int]] = field(factory=FrozenMap)


def count_request(limits: Limits, bucket: str, now: float) -> Limits:
    """Count one request; 429 with the seconds left of the minute when there were too many."""
    began, count = limits.windows.get(bucket, (now, 0))
    if now >= began + WINDOW_SECONDS:
        began, count = now, 0
    if count >= limits.per_minute:
        wait = math.ceil(began + WINDOW_SECONDS - now)
        raise Refusal(
            Reason.RATE_LIMITED,
            f"more than {limits.per_minute} requests a minute; retry in {wait} s",
            retry_after=wait,
        )
    return evolve(limits, windows=limits.windows.set(bucket, (began, count + 1)))
