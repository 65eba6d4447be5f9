"""Whether somebody speaks, from levels alone.

Speech is what stands out of the room's noise, and goes on for `HANG_OVER` after the last loud
frame. The noise is the quietest moment of the last `MEMORY` seconds: a voice has stops in it, so
that is the room also while somebody speaks. What nothing stands out of for `STEADY` is no voice,
however loud, and the room from then on: steady white noise is not speech for longer than a second.
Noise that swells by 1.5 dB either way, or brown noise, may count as speech for `MEMORY` seconds.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

ONSET_DB: Final = 9.0  # how far above the noise speech begins
QUIETEST_DBFS: Final = -55.0  # nothing below is speech, in however quiet a room
# In seconds:
HANG_OVER: Final = 0.3  # pauses between words are mostly shorter
MEMORY: Final = 2.5  # with 1.5, 2 % of speech without any noise were lost, and none with this
MOMENT: Final = 0.1  # the level follows by 1 - 1/e; single frames of a rumble are too quiet
STEADY: Final = 0.5  # longer than nearly every vowel; such a one is speech for `HANG_OVER` more

_PIECE: Final = 0.1  # seconds whose extremes are remembered together
_PIECES: Final = round(MEMORY / _PIECE)
_STEADY_PIECES: Final = round(STEADY / _PIECE)
_NONE: Final = (math.inf, math.inf, -math.inf)
_START_DBFS: Final = -60.0


class VoiceActivity:
    """Judges one stream of levels."""

    def __init__(self) -> None:
        self._pieces = deque([(_START_DBFS,) * 3] * _PIECES, maxlen=_PIECES)
        self._moment, self._quietest, self._loudest = _NONE
        self._lasts = 0.0
        self._power: float = 10 ** (_START_DBFS / 10)
        self._noise = _START_DBFS
        self._speaks_for = 0.0

    def push(self, level_dbfs: float, duration: float) -> bool:
        """Take the level of the next `duration` seconds; return whether somebody speaks."""
        self._power += (10 ** (level_dbfs / 10) - self._power) * min(1.0, duration / MOMENT)
        moment = 10 * math.log10(self._power)
        self._moment = min(self._moment, moment)
        self._quietest = min(self._quietest, level_dbfs)
        self._loudest = max(self._loudest, level_dbfs)
        self._lasts += duration
        if self._lasts >= _PIECE - 1e-9:
            self._pieces.append((self._moment, self._quietest, self._loudest))
            (self._moment, self._quietest, self._loudest), self._lasts = _NONE, 0.0
            self._noise = self._find_noise()
        # Nothing quieter than that is a room: what rises from a digital silence is not its noise.
        noise = max(min(self._noise, moment), QUIETEST_DBFS - ONSET_DB)
        if level_dbfs > noise + ONSET_DB:
            self._speaks_for = HANG_OVER
        else:
            self._speaks_for = max(0.0, self._speaks_for - duration)
        return self._speaks_for > 0.0

    def _find_noise(self) -> float:
        recent = list(self._pieces)[-_STEADY_PIECES:]
        spread = max(loudest for *_, loudest in recent) - min(quiet for _, quiet, _ in recent)
        return min(moment for moment, *_ in (recent if spread < ONSET_DB else self._pieces))
