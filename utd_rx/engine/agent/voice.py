"""How a stub sounds that has nothing to say: a hum with syllables."""

from __future__ import annotations

from typing import Final

import numpy as np

from utd_rx.models.audio import Samples

SECONDS_PER_CHARACTER: Final = 0.06
"""As a person speaks."""

_PITCH: Final = 160.0  # Hz
_SYLLABLES: Final = 4.0  # per second
_PEAK: Final = 6_000


def spoken(text: str, sample_rate: int) -> Samples:
    """Return a hum as long as `text` takes to say, int16 mono."""
    return hum(len(text) * SECONDS_PER_CHARACTER, sample_rate)


def hum(seconds: float, sample_rate: int) -> Samples:
    """Return a hum, int16 mono; it begins and ends quietly."""
    at = np.arange(round(seconds * sample_rate)) / sample_rate
    syllables = np.sin(np.pi * at * _SYLLABLES) ** 2 * np.minimum(1, (seconds - at) / 0.05)
    tones = np.sin(2 * np.pi * _PITCH * at) + 0.4 * np.sin(6 * np.pi * _PITCH * at)
    return (_PEAK * syllables * tones).astype(np.int16)
