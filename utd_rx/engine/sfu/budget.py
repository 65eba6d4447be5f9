"""How much of something one participant may use in a time. Time is an argument."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from math import inf

from attrs import define, field


@define
class Budget:
    """`rate` a second, and up to `burst` at once."""

    rate: float
    burst: float
    _left: float = field(init=False)
    _at: float | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._left = self.burst

    def _fill(self, now: float) -> None:
        if self._at is not None and now > self._at:
            self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until something is left; 0 when something is."""
        self._fill(now)
        return max(0.0, -self._left / self.rate)

    def spend(self, cost: float, now: float) -> None:
        """Use that much, also what is not left: then the next has to wait."""
        self._fill(now)
        self._left -= cost

    def take(self, cost: float, now: float) -> bool:
        """Use that much, or nothing of it when less is left."""
        self._fill(now)
        if cost > self._left:
            return False
        self._left -= cost
        return True


@define
class Share(Budget):
    """A budget of seconds of the processor, measured: what is used is known afterwards.

    They are the thread's own, so who is kept waiting by another process pays nothing for it. `turn`
    is what may be used of one turn of the loop, which is known by its time.
    """

    turn: float = inf
    _clock: Callable[[], float] = time.thread_time
    _turned_at: float | None = field(init=False, default=None)
    turned: float = field(init=False, default=0.0)
    """What was used of the newest turn."""

    def is_turn_over(self, now: float) -> bool:
        """Whether others are to have a turn before more is used."""
        return now == self._turned_at and self.turned >= self.turn

    @contextlib.contextmanager
    def used(self, now: float) -> Iterator[None]:
        """Spend what happens inside."""
        begun = self._clock()
        try:
            yield
        finally:
            cost = self._clock() - begun
            self.turned = cost + (self.turned if now == self._turned_at else 0.0)
            self._turned_at = now
            self.spend(cost, now)
