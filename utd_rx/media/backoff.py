"""How soon a media process that died is replaced, and when that is given up. Time is an argument.

The first death in a minute is answered at once, for somebody is not heard meanwhile; the second a
moment later; the third is a fault that another process would have as well, and given up until the
first is a minute ago.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

WINDOW: Final = 60.0
DELAYS: Final = (0.0, 0.5)
"""Seconds before the successor of the first death within `WINDOW`, and of the second; after one
more it is given up."""

MAX_DEATHS: Final = len(DELAYS) + 1


@frozen
class Deaths:
    """When the last media processes died, monotonic seconds; `MAX_DEATHS` of them at most."""

    times: tuple[float, ...] = ()

    def after(self, now: float) -> Deaths:
        """Return it after one more death."""
        return Deaths((*self._recent(now), now)[-MAX_DEATHS:])

    def delay(self, now: float) -> float | None:
        """Return the seconds from now until the next may be started; None: it is given up."""
        recent = self._recent(now)
        if not recent:
            return 0.0
        if len(recent) >= MAX_DEATHS:
            return None
        return max(0.0, recent[-1] + DELAYS[len(recent) - 1] - now)

    def _recent(self, now: float) -> tuple[float, ...]:
        return tuple(at for at in self.times if now - at < WINDOW)
