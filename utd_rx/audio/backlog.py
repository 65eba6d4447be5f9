"""Sound that is there before it is due, on its way to the mix: played as it is, to the sample.

An agent's voice comes faster than it is spoken. A `JitterBuffer` would take what waits for delay
and hurry it away; here it waits however long, and nothing is stretched or made up.

*Beginning*: after silence, sound is held until a margin of it is there, or for as long as a margin
when no more comes. *Running dry*: the last sample fades out, so that no edge is heard. What comes
within `LATE` after that was late, and the margin doubles, up to `MAX_MARGIN`; after `CALM` of sound
without that it is halved, down to what it was.

Conservation: pushed = taken + dropped + depth, always.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

import numpy as np

from utd_rx.audio.jitter import Mix
from utd_rx.models.audio import AudioFormat, Samples
from utd_rx.models.checks import number

# In seconds.
MAX_MARGIN: Final = 0.25
"""The vendor of Atoms saw no gaps any more with it (docs/audio.md, "Sound that is there before it
is due")."""

LATE: Final = 0.3  # of silence at most in the middle of a turn; between two there is mostly more
CALM: Final = 60.0
_FADE: Final = 0.0025


class Backlog:
    """Sound of one format; `push`, `pull` and `clear` may be called on different threads.

    `burst` is at most the seconds that are pulled at once, and `margin` those that have to be there
    at a beginning. Samples are counted as `pushed`, `taken` to be played or `dropped`, `depth` are
    those that wait; `underruns` is how often sound ran dry that went on.
    """

    concealed = 0
    drift = 0.0

    def __init__(self, audio_format: AudioFormat, burst: float, margin: float) -> None:
        self.taken = self.pushed = self.dropped = self.depth = self.underruns = 0
        rate = self._rate = audio_format.sample_rate
        rule = f"a margin is from 0 to {MAX_MARGIN:g} s"
        self._least = self._margin = round(number(margin, rule, 0.0, MAX_MARGIN) * rate)
        self._fade = round(min(_FADE, burst) * rate)
        self._lock = threading.Lock()
        self._waiting: deque[Samples] = deque()
        self._is_playing = False
        self._held = 0  # samples of silence for which the beginning has been held
        self._silent = round(LATE * rate)  # samples since it ran dry
        self._calm = 0  # samples since it was late
        self._last: Mix = np.zeros((1, audio_format.channels), np.float32)
        self._tail = self._last[:0]  # the fade that is left to be played

    @property
    def waiting(self) -> int:
        """Samples that are left to be played, a fade among them."""
        return self.depth + len(self._tail)

    def push(self, samples: Samples) -> None:
        """Append `(n, channels)` int16."""
        with self._lock:
            self._waiting.append(samples)
            self.depth += len(samples)
            self.pushed += len(samples)

    def clear(self, *, fade: bool = False) -> bool:
        """Drop what waits; with `fade` the next pull fades out what it would have played.

        Returns whether there is a fade. What comes later is no sound that was late.
        """
        with self._lock:
            self._tail = self._last[:0]
            if fade and self._is_playing and self.depth:
                sound = self._take(min(self.depth, self._fade))
                self._tail = sound * _falling(len(sound))
            self.dropped += self.depth
            self._waiting.clear()
            self.depth = 0
            self._is_playing = False
            self._silent = round(LATE * self._rate)
            return len(self._tail) > 0

    def pull(self, count: int) -> Mix | None:
        """Return the next `count` samples as float32 of int16 scale; None for silence."""
        with self._lock:
            if not self._is_playing:
                self._begin(count)
            sound = self._take(min(count, self.depth)) if self._is_playing else self._last[:0]
            missing = count - len(sound)
            if not missing:
                return sound
            if self._is_playing:
                self._is_playing, self._silent = False, 0
                self._tail = self._last * _falling(self._fade)
            self._silent += missing
            tail, self._tail = self._tail[:missing], self._tail[missing:]
            if not len(sound) and not len(tail):
                return None
            silence = np.zeros((missing - len(tail), sound.shape[1]), np.float32)
            return np.concatenate([sound, tail, silence])

    def _begin(self, count: int) -> None:
        """Play from this pull on, if it is time."""
        if not self.depth or len(self._tail):
            return
        if self._silent < LATE * self._rate:
            self.underruns += 1
            self._calm, self._silent = 0, round(LATE * self._rate)
            self._margin = min(round(MAX_MARGIN * self._rate), 2 * self._margin)
        if self.depth < self._margin and self._held < self._margin:
            self._held += count
            return
        self._is_playing, self._held = True, 0

    def _take(self, count: int) -> Mix:
        """Remove the oldest samples, with the lock held; there are that many."""
        if not count:
            return self._last[:0]
        sound: Mix = remove(self._waiting, count).astype(np.float32)
        self.depth -= count
        self.taken += count
        self._calm += count
        if self._calm >= CALM * self._rate:
            self._calm, self._margin = 0, max(self._least, self._margin // 2)
        self._last = sound[-1:]
        return sound


def _falling(count: int) -> Mix:
    return np.linspace(1.0, 0.0, count + 1, dtype=np.float32)[1:, np.newaxis]


def remove(waiting: deque[Samples], count: int) -> Samples:
    """Take the oldest `count` samples, at least one, off what waits; there are that many."""
    pieces, missing = [], count
    while missing:
        piece = waiting.popleft()
        if len(piece) > missing:
            waiting.appendleft(piece[missing:])
            piece = piece[:missing]
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
