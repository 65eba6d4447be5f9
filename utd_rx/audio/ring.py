"""A ring of samples between one writer and one reader, without a lock.

Each end owns one counter that only grows. Under the GIL it is read and written whole, and it is
moved after the samples were copied. So a real-time callback can be either end.
"""

from __future__ import annotations

import numpy as np

from utd_rx.models.audio import Samples


class Ring:
    """Up to `capacity` samples; the newest that do not fit are dropped and counted in `overrun`."""

    def __init__(self, capacity: int, channels: int) -> None:
        self._buffer: Samples = np.zeros((capacity, channels), np.int16)
        self._capacity = capacity
        self.written = self.read = self.overrun = 0

    @property
    def depth(self) -> int:
        """Samples that wait."""
        return self.written - self.read

    def write(self, samples: Samples) -> int:
        """Place `(n, channels)` int16; return how many fitted. The writer's thread only."""
        count = min(len(samples), self._capacity - self.depth)
        start = self.written % self._capacity
        first = min(count, self._capacity - start)
        self._buffer[start : start + first] = samples[:first]
        if first < count:
            self._buffer[: count - first] = samples[first:count]
        self.written += count
        self.overrun += len(samples) - count
        return count

    def read_into(self, out: Samples) -> int:
        """Fill `(n, channels)` int16 as far as there is sound; return how far. Reader only."""
        count = min(len(out), self.depth)
        start = self.read % self._capacity
        first = min(count, self._capacity - start)
        out[:first] = self._buffer[start : start + first]
        if first < count:
            out[first:count] = self._buffer[: count - first]
        self.read += count
        return count

    def skip(self, count: int) -> int:
        """Let go of the oldest samples; return how many there were. The reader's thread only."""
        count = min(count, self.depth)
        self.read += count
        return count

    def fade_out(self, length: int) -> None:
        """Turn what waits into a fade of `length` samples and silence; the writer's thread only.

        What the reader takes meanwhile is not faded, and the fade begins late.
        """
        count = self.depth
        where = np.arange(self.written - count, self.written) % self._capacity
        ramp = np.clip(1.0 - np.arange(count) / max(1, length), 0.0, 1.0)[:, np.newaxis]
        self._buffer[where] = (self._buffer[where] * ramp).astype(np.int16)
