"""Sound of one rate at a whole multiple or a whole fraction of it, such as 48 kHz at 24: at once.

soxr turns a stream into another in blocks of its own: 11 ms are held back on the average and 20 at
times, of 10 ms frames between 48 and 24 kHz, and twice that between 48 and 8
(`tests/audio/test_ratio.py`). Whole ratios need no more than one filter, a sinc in a window of
Kaiser's, that looks half its length ahead: 24 samples of the lower rate, 1 ms at 24 kHz.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from utd_rx.models.audio import Samples

AHEAD: Final = 24
"""Samples of the lower rate on either side. With fewer the edge is less steep."""

EDGE: Final = 0.9
"""Of half the lower rate, in the middle of the edge: down by 0.2 dB at 0.8, by 70 dB at 1."""

BETA: Final = 7.5  # of the window: what is to be gone is down by 75 dB

Weights = npt.NDArray[np.float32]


def is_whole(source: int, target: int) -> bool:
    """Whether one of the two rates is a multiple of the other."""
    return max(source, target) % min(source, target) == 0


class RatioStream:
    """Converts one stream of `(n, channels)` int16; `source` and `target` fit `is_whole`."""

    def __init__(self, source: int, target: int, channels: int) -> None:
        self._is_up = target > source
        self._ratio = max(source, target) // min(source, target)
        self._phases = _phases(self._ratio, self._is_up)
        # What is looked back at and ahead, in samples of the source.
        self._reach = AHEAD if self._is_up else AHEAD * self._ratio
        self._channels = channels
        self.clear()

    def clear(self) -> None:
        """Begin anew: what is held back is gone."""
        self._sound: Weights = np.zeros((self._reach, self._channels), np.float32)

    def resample_chunk(self, samples: Samples, *, last: bool = False) -> Samples:
        """Return what has become ready, int16; with `last`, the rest of it, too."""
        pieces: list[npt.NDArray[np.generic]] = [self._sound, samples]
        if last:
            pieces.append(np.zeros((self._reach, self._channels), np.float32))
        sound = np.concatenate(pieces, dtype=np.float32)
        step = 1 if self._is_up else self._ratio
        count = max(0, (len(sound) - 2 * self._reach - 1) // step + 1)
        self._sound = sound[count * step :]
        if not count:
            return np.zeros((0, self._channels), np.int16)
        # `(channels, phases, count)`; one phase alone on the way down.
        filtered = np.array(
            [
                [np.convolve(channel, phase, "valid")[::step][:count] for phase in self._phases]
                for channel in sound.T
            ]
        )
        filtered = filtered.transpose(2, 1, 0).reshape(-1, self._channels)
        limited: Samples = np.rint(np.clip(filtered, -32_768, 32_767)).astype(np.int16)
        return limited


@cache
def _phases(ratio: int, is_up: bool) -> tuple[Weights, ...]:
    """Return the filter: whole to go down; to go up, those of its weights that meet a sample, for
    each place between two."""
    reach = AHEAD * ratio
    at = np.arange(-reach, reach + 1) / ratio
    weights = np.sinc(EDGE * at) * np.kaiser(len(at), BETA)
    # The first place is on a sample; the last weight of the others would be beyond the end.
    phases = [np.pad(weights[p::ratio], (0, p > 0)) for p in range(ratio)] if is_up else [weights]
    return tuple((phase / phase.sum()).astype(np.float32) for phase in phases)
