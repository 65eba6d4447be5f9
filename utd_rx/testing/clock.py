"""`FakeClock`: time that passes when a test says so."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from utd_rx.ports.clock import Cancel


class FakeClock:
    """A `Clock` that a test moves; nothing is due by itself.

    Args:
        now: Monotonic seconds to begin with.
        wall: Unix time at that moment.
        jitter: What `jitter` returns.
    """

    def __init__(self, now: float = 0.0, *, wall: float = 1_800_000_000.0, jitter: float = 0.5):
        self._now = now
        self._offset = wall - now
        self._jitter = jitter
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._cancelled: set[int] = set()
        self._ids = count()

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._now + self._offset

    def jitter(self) -> float:
        return self._jitter

    def call_at(self, at: float, callback: Callable[[], None]) -> Cancel:
        """See `Clock.call_at`; who is due already is called by the next `advance`, also by 0 s."""
        number = next(self._ids)
        heapq.heappush(self._due, (at, number, callback))
        return lambda: self._cancelled.add(number)

    @property
    def next_at(self) -> float | None:
        """When something is due next, None for never."""
        while self._due and self._due[0][1] in self._cancelled:
            self._cancelled.discard(heapq.heappop(self._due)[1])
        return self._due[0][0] if self._due else None

    def advance(self, seconds: float) -> None:
        """Let time pass, calling back whoever is due, each at its own time and in order."""
        until = self._now + seconds
        while (at := self.next_at) is not None and at <= until:
            _, _, callback = heapq.heappop(self._due)
            self._now = max(self._now, at)
            callback()
        self._now = until
