"""How loud sound is.

Levels are in dBFS as AES17 defines them: RMS, where the loudest possible sine is 0. So a tone of
-12 dBFS also peaks at -12 dBFS, and only a square wave gets above 0 (to +3.01).
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

from utd_rx.audio.convert import to_unit
from utd_rx.models.audio import AudioFrame, Samples
from utd_rx.models.checks import POSITIVE, number, typed
from utd_rx.models.device_state import FLOOR_DBFS

MAX_LEVELS_PER_SECOND: Final = 20  # an eye does not follow more
_SINE_CREST: Final = math.sqrt(2.0)
_FULL_SCALE: Final = 32_768.0


@frozen(field_transformer=typed)
class AudioLevel:
    """The loudness of a piece of sound.

    Args:
        rms_dbfs: Its level, from `FLOOR_DBFS` to +3.01.
        peak_dbfs: Its greatest sample, from `FLOOR_DBFS` to 0.
        at: When the piece began, in seconds of `time.monotonic()`.
        duration: Of the piece, in seconds.
    """

    rms_dbfs: float
    peak_dbfs: float
    at: float
    duration: float


def level_dbfs(samples: npt.NDArray[Any]) -> float:
    """Return the RMS level in dBFS; `FLOOR_DBFS` for silence and for no samples.

    Args:
        samples: Any shape; what `to_unit` takes.

    Raises:
        UTDStreamException: `VALIDATION`, for another type.
    """
    if not samples.size:
        return FLOOR_DBFS
    values = to_unit(samples).ravel()
    return _to_db(math.sqrt(float(np.dot(values, values)) / values.size) * _SINE_CREST)


class LevelMeter:
    """Reduces frames to at most 20 levels per second of sound.

    Feed it on one thread at a time; on an observable of frames it is
    `pipe(ops.map(meter.push), ops.filter(bool))`.

    Args:
        levels_per_second: From just above 0 to `MAX_LEVELS_PER_SECOND`.

    Raises:
        UTDStreamException: `VALIDATION`: `levels_per_second` is out of that range.
    """

    def __init__(self, levels_per_second: float = MAX_LEVELS_PER_SECOND) -> None:
        rule = "levels_per_second must be in (0, 20]"
        self._period = 1 / number(levels_per_second, rule, POSITIVE, MAX_LEVELS_PER_SECOND)
        self._at = self._duration = 0.0
        self._sounds: list[Samples] = []

    def push(self, frame: AudioFrame) -> AudioLevel | None:
        """Take a frame; return the level of the frames since the last one when it is due."""
        if not self._sounds:
            self._at = frame.at
        self._sounds.append(frame.samples)
        self._duration += frame.duration
        if self._duration < self._period - 1e-9:
            return None
        values = np.concatenate(self._sounds, axis=None).astype(np.float64)
        rms = math.sqrt(float(np.dot(values, values)) / values.size)
        peak = max(float(values.max()), -float(values.min()))
        level = AudioLevel(
            _to_db(rms * _SINE_CREST / _FULL_SCALE),
            _to_db(peak / _FULL_SCALE),
            self._at,
            self._duration,
        )
        self._sounds.clear()
        self._duration = 0.0
        return level


def power_dbfs(power: float) -> float:
    """Return the level of a mean square, in dBFS."""
    return _to_db(math.sqrt(power) * _SINE_CREST / _FULL_SCALE)


def powers(sounds: list[Samples]) -> list[float]:
    """Return the mean squares of int16 sounds of one shape."""
    values = np.concatenate(sounds, axis=None).astype(np.float32).reshape(len(sounds), -1)
    return [float(np.dot(row, row)) / len(row) for row in values]


def _to_db(ratio: float) -> float:
    return FLOOR_DBFS if ratio <= 0 else max(FLOOR_DBFS, 20 * math.log10(ratio))
