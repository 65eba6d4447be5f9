"""Keeps a mix within int16 by turning it down, where adding up would wrap around or clip.

The gain follows the peaks of pieces of 1 ms: down in time for each of them, without looking ahead
over the end of a block, and up again in about `RELEASE`. Sound that fits passes unchanged.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from utd_rx.models.audio import Samples

CEILING: Final = 32_767.0
RELEASE: Final = 0.1
"""Seconds in which the gain comes back by 1 - 1/e."""

_PIECES_PER_SECOND: Final = 1000


class Limiter:
    """Limits one stream, block by block.

    Attributes:
        gain: How much the sound was turned down at the end of the last block.

    Args:
        sample_rate: In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._piece = max(1, sample_rate // _PIECES_PER_SECOND)
        self._rise = 1 - np.exp(-self._piece / (RELEASE * sample_rate))
        self.gain = 1.0

    def push(self, mix: npt.NDArray[np.float32]) -> Samples:
        """Return `(n, channels)` int16 for `(n, channels)` floats of int16 scale."""
        peak = float(np.max(np.abs(mix), initial=0.0))
        if peak <= CEILING and self.gain >= 1.0:
            return np.rint(mix).astype(np.int16)
        edges = self._edges(mix)
        at = np.arange(len(mix)) / self._piece
        gain = np.interp(at, np.arange(len(edges)), edges)[:, np.newaxis]
        self.gain = float(edges[-1])
        limited: Samples = np.rint(np.clip(mix * gain, -CEILING, CEILING)).astype(np.int16)
        return limited

    def _edges(self, mix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the gain at the edges of the pieces: never more than both neighbours allow."""
        starts = np.arange(0, len(mix), self._piece)
        peaks = np.maximum.reduceat(np.max(np.abs(mix), axis=1), starts)
        allowed = np.minimum(1.0, CEILING / np.maximum(peaks, CEILING))
        edges = np.empty(len(allowed) + 1)
        edges[0] = gain = min(self.gain, float(allowed[0]))
        for index, here in enumerate(allowed.tolist(), 1):
            gain += (1.0 - gain) * self._rise
            if gain > 0.9999:
                gain = 1.0
            ahead = float(allowed[index]) if index < len(allowed) else 1.0
            edges[index] = gain = min(gain, here, ahead)
        return edges
