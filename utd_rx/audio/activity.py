"""Whether somebody speaks, from levels alone.

The room's own noise is followed from below: at once when it gets quieter, slowly when it gets
louder. Speech is what stands out of it, and it goes on for `HANG_OVER` after the last loud frame,
so that the pauses between words do not show.
"""

from __future__ import annotations

from typing import Final

ONSET_DB: Final = 9.0
"""How far above the noise speech begins."""

QUIETEST_DBFS: Final = -55.0
"""Nothing below is speech, in however quiet a room."""

HANG_OVER: Final = 0.3
"""Seconds; pauses between words are mostly shorter."""

_RISE_DB_PER_SECOND: Final = 2.0
_START_DBFS: Final = -60.0


class VoiceActivity:
    """Judges one stream of levels; one thread at a time."""

    def __init__(self) -> None:
        self._noise = _START_DBFS
        self._speaks_for = 0.0

    def push(self, level_dbfs: float, duration: float) -> bool:
        """Take the level of the next `duration` seconds; return whether somebody speaks."""
        noise = min(level_dbfs, self._noise + _RISE_DB_PER_SECOND * duration)
        # A digital silence is no room: what rises from it is not compared with it.
        self._noise = max(noise, QUIETEST_DBFS - ONSET_DB)
        if level_dbfs > self._noise + ONSET_DB:
            self._speaks_for = HANG_OVER
        else:
            self._speaks_for = max(0.0, self._speaks_for - duration)
        return self._speaks_for > 0.0
