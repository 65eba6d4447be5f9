"""`Unplayed`: what was said and is perhaps not played yet, so that it can be said once more."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from utd_rx.models.audio import AudioFrame

SLACK: Final = 1e-9
"""Seconds: how far a voice is told to be is a sum of floats, and so are the ends here."""


class Unplayed:
    """Sound in order, each piece with the seconds that were said up to its end. Calls may not
    overlap."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[float, AudioFrame]] = deque()

    def __iter__(self) -> Iterator[AudioFrame]:
        return (frame for _, frame in self._pieces)

    def push(self, frame: AudioFrame, end: float) -> None:
        """Keep a copy, as its array is the app's."""
        copy = AudioFrame(frame.samples.copy(), frame.sample_rate, frame.at)
        self._pieces.append((end, copy))

    def played(self, seconds: float) -> None:
        """So much of all that was said is played: let go of each piece that is."""
        while self._pieces and self._pieces[0][0] <= seconds + SLACK:
            self._pieces.popleft()

    def clear(self) -> None:
        """Keep nothing."""
        self._pieces.clear()

    def restart(self, played: float) -> float:
        """Count from what was played of all that was said; return the seconds that are left."""
        self.played(played)
        pieces, self._pieces, end = self._pieces, deque(), 0.0
        for old_end, frame in pieces:
            begun = max(played - (old_end - frame.duration), 0.0)
            samples = frame.samples[round(begun * frame.sample_rate) :]
            left = AudioFrame(samples, frame.sample_rate, frame.at)
            end += left.duration
            self._pieces.append((end, left))
        return end
