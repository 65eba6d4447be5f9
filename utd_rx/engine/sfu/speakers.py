"""Who speaks, from the level extension alone. Time is RTP time plus `now`; nothing is decoded.

The rule is livekit-server's (docs/livekit.md, "Speakers").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from attrs import define

UPDATE_INTERVAL: Final = 0.4
_WINDOW_MS: Final = 400.0
_ACTIVE_LEVEL: Final = 35  # -dBov, as all levels here
_MIN_ACTIVE_MS: Final = 0.4 * _WINDOW_MS
_SMOOTHING: Final = 2 / 3
_STALE_AFTER: Final = 0.8
_STEPS: Final = 8
_SILENCE: Final = 127


def is_loud(level: int) -> bool:
    return level <= _ACTIVE_LEVEL


@define
class SpeechMeter:
    """Level of one audio track, fed by its packets and read every `UPDATE_INTERVAL`."""

    _observed_ms: float = 0.0
    _active_ms: float = 0.0
    _loudest: int = _SILENCE
    _smoothed: float = 0.0
    _last_seen: float = -math.inf

    def observe(self, level: int, duration_ms: float, now: float) -> None:
        self._last_seen = now
        self._observed_ms += duration_ms
        if is_loud(level):
            self._active_ms += duration_ms
            self._loudest = min(self._loudest, level)
        if self._observed_ms < _WINDOW_MS:
            return
        if self._active_ms >= _MIN_ACTIVE_MS:
            weight = min(1.0, self._active_ms / self._observed_ms)
            linear = 10 ** (-self._loudest / 20) * weight
            self._smoothed += (linear - self._smoothed) * _SMOOTHING
        else:
            self._smoothed = 0.0
        self._observed_ms = self._active_ms = 0.0
        self._loudest = _SILENCE

    def level(self, now: float) -> float:
        """Smoothed linear level, rounded up to an eighth; 0 when silent or stale."""
        if now - self._last_seen > _STALE_AFTER:
            self._smoothed = 0.0
        return min(1.0, math.ceil(self._smoothed * _STEPS) / _STEPS)


def changed_levels(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Which levels by sid, without the silent ones, are news; 0 for those that fell silent."""
    changed = {sid: level for sid, level in after.items() if before.get(sid) != level}
    changed |= {sid: 0.0 for sid in before if sid not in after}
    return changed
