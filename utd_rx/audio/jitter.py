"""One participant's sound on its way to the mix: bounded, in order, and never late for good.

Frames come every 10 ms by somebody else's clock, with jitter; the device takes samples by its own.
`push` appends, `pull` takes. Playing begins when a margin is there beyond the first pull: the
middle of the band below, or its lower edge where twice a burst is pulled at once.

*Too little*: `pull` makes up what is missing from the last 10 ms, mirrored and faded out, and after
`CONCEAL` falls silent and waits for the margin again.

*Too much*: the least depth after a pull, over the last `WINDOW`, is sound that only waits. What it
has above a band of a few milliseconds is delay for nothing, and below it an underrun is near. Both
are worked off by taking `n + k` samples for `n` played, resampled inside one pull, so nothing is
cut; in between `k` is 0. A clock that is off and a stall are the same to it: either is gone within
5 s. Beyond `MAX_DEPTH` the oldest is dropped and counted.

*Slips*: as clocks drift past each other the least depth moves by a whole burst of pulls in one
step, and a device may ask for several blocks at once (PortAudio on Linux for two of 2.5 ms:
measured). Room for a whole step would be delay for everybody. So the band begins as wide as
`burst`, and the second underrun within `RECENT` that was over at once widens it to a whole pull:
from then on there is room for the slip. A single stall does not,
and where no clock is off it costs no delay. When nothing has run short for `PATIENCE` the band is
what it was.

Conservation: pushed = taken + dropped + depth, always.

What waits lies in one piece of memory behind what was played last, and is never moved in it: a
reader may still hold a view of it. When it is full, another one begins with what is still needed.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from utd_rx.models.audio import AudioFormat, Samples

Mix = npt.NDArray[np.float32]

# In seconds, but for MAX_RATE.
RESERVE: Final = 0.001  # that the least depth keeps from an underrun, beyond one pull
SLACK: Final = 0.0015  # that the band in which samples pass unchanged is wider than one pull
MAX_DEPTH: Final = 0.12  # beyond two pulls; what is more is dropped
KEPT_DEPTH: Final = 0.06  # beyond two pulls, kept then: `MAX_RATE` has worked it off within 5 s
MAX_RATE: Final = 0.03  # of faster or slower playing: half a semitone, for a second or two
WINDOW: Final = 1.0  # in which the least depth is looked for; jitter that is rarer is a stall
CONCEAL: Final = 0.02  # of sound made up at most; more of it sounds like a machine
MAX_BURST: Final = 0.01  # of pulls at once up to which the band widens: a frame
RECENT: Final = 150.0  # in which a slip comes again if it is to be heard: of 10 ms, at 0.007 % off
PATIENCE: Final = 300.0  # for which the band stays wide without being needed

_SETTLING: Final = 1.0  # in which delay for nothing shrinks to 1/e; a quicker pitch is heard
_URGENT: Final = 0.25
"""The same where an underrun is near. A device whose clock is too fast leaves an error of that much
of what it is off: 1 ms at 0.4 %, out of a pull and `RESERVE`."""

_DRIFT_SECONDS: Final = 30.0
_FADE: Final = 0.0025


class JitterBuffer:
    """Sound of one format; `push` and `pull` may be called on different threads.

    `burst` is the seconds that the depth may move in one step, to begin with: a pull, or a part of
    one. Samples are counted as `taken` to be played, `dropped` or `concealed`, `depth` are those
    that wait; `drift` is how much faster than real time it is played, over half a minute, as a
    fraction.
    """

    def __init__(self, audio_format: AudioFormat, burst: float = 0.005) -> None:
        self.pushed = self.dropped = self.concealed = self.underruns = 0
        rate = self._rate = audio_format.sample_rate
        self._pull = burst
        self._set_band(burst)
        self._slipped = 0.0  # samples for which the last short underrun counts as recent
        self._most = round((MAX_DEPTH + 2 * burst) * rate)
        self._kept = round((KEPT_DEPTH + 2 * burst) * rate)
        self._lock = threading.Lock()
        self._frame = audio_format.samples_per_frame
        # Played before `_read`, waiting from there to `_written`, which `depth` counts.
        self._sound: Samples = np.zeros((self._frame + self._most, audio_format.channels), np.int16)
        self._read = self._written = self._frame
        self.depth = 0
        self._is_playing = False
        self._made_up = 0  # samples of the concealment under way
        self._rest: Mix | None = None  # the fade of what was cleared
        self._carry = 0.0
        self.drift = 0.0
        self._least, self._least_before, self._pulled = self._most, self._most, 0
        self._stepped = 0  # samples taken beyond those pulled, in this window
        self._window = round(WINDOW * rate / 2)
        self._is_steady = False  # nothing is to be done to the samples, but for what `take` sees

    @property
    def highest(self) -> float:
        """The least depth, in seconds, that is not worked off."""
        return self._high / self._rate

    @property
    def waiting(self) -> int:
        """Samples that are left to be played."""
        return self.depth

    @property
    def taken(self) -> int:
        """Samples that were taken to be played."""
        return self.pushed - self.dropped - self.depth

    def push(self, samples: Samples) -> None:
        """Append `(n, channels)` int16."""
        count = len(samples)
        with self._lock:
            end = self._written + count
            if end > len(self._sound):
                self._begin_anew(count)
                end = self._written + count
            self._sound[self._written : end] = samples
            self._written = end
            self.depth += count
            self.pushed += count
            if self.depth > self._most:
                self._drop(self.depth - self._kept)
                self._least = self._least_before = self._most

    def clear(self, *, fade: bool = False) -> bool:
        """Drop what waits, and play on when the margin is there again.

        With `fade` the next pull fades out what it would have played; return whether there is one.
        """
        with self._lock:
            if not fade:
                self._rest = None
            elif self._is_playing and self.depth:
                rest = self._remove(min(self.depth, round(min(_FADE, self._pull) * self._rate)))
                self._rest = (
                    rest * np.linspace(1.0, 0.0, len(rest), dtype=np.float32)[:, np.newaxis]
                )
            self._drop(self.depth)
            self._is_playing = self._is_steady = False
            self._made_up = 0
            return self._rest is not None

    def take(self, count: int) -> Samples | None:
        """Return what is played in the next `count` samples, as it came: a view of some more or
        fewer while the depth is worked off; None where more is to be done, which `pull` does."""
        with self._lock:
            depth, pulled = self.depth - count, self._pulled + count
            if self._is_steady and depth >= self._low and pulled < self._window:
                # What every voice costs 100 times a second.
                self.depth, self._pulled = depth, pulled
                if depth < self._least:
                    self._least = depth
                begin, self._read = self._read, self._read + count
                return self._sound[begin : self._read]
            is_usual = self._is_playing and not self._made_up and self._rest is None
            return self._take_some(count) if is_usual and depth >= 0 else None

    def pull(self, count: int) -> Mix | None:
        """Return the next `count` samples as float32 of int16 scale; None for silence."""
        with self._lock:
            if self._rest is not None:
                rest, self._rest = self._rest, None
                return np.concatenate([rest, np.zeros((count, rest.shape[1]), np.float32)])[:count]
            if not self._is_playing:
                if self.depth < max(self._beginning, count + self._low):
                    return self._conceal(count) if self._made_up else None
                self._is_playing = True
                self._least = self._least_before = self._most
            if self.depth < count:
                self.underruns += 1
                self._is_playing = self._is_steady = False
                return self._conceal(count)
            sound = stretch(self._take_some(count), count)
            if self._made_up:
                self._join(sound)
            return sound

    def _take_some(self, count: int) -> Samples:
        """Take what is played in `count` samples; there are that many."""
        step = self._step(count)
        if self.depth < count + step:
            step = 0
        sound = self._remove(count + step)
        self._watch(count, step)
        least = min(self._least, self._least_before)
        self._is_steady = not step and (
            self._least_before == self._most or self._low <= least <= self._high
        )
        return sound

    def _set_band(self, burst: float) -> None:
        """Let the depth move by that many seconds in one step."""
        self._burst = burst
        self._low = round((burst + RESERVE) * self._rate)
        self._high = self._low + round((burst + SLACK) * self._rate)
        self._beginning = round(self._pull * self._rate) + (self._low + self._high) // 2
        self._patience = PATIENCE * self._rate

    def _step(self, count: int) -> int:
        """Return how many samples more than `count` to take."""
        least = min(self._least, self._least_before)
        # Half a window is over first: the least depth so far is not yet the least there is.
        if self._least_before == self._most or self._low <= least <= self._high:
            self._carry = 0.0
            return 0
        if least < self._low:
            error, settling = least - self._low, _URGENT
            self._patience = PATIENCE * self._rate
        else:
            error, settling = least - self._high, _SETTLING
        most = MAX_RATE * count
        self._carry += max(-most, min(most, error * count / (self._rate * settling)))
        step = int(self._carry)
        self._carry -= step
        return step

    def _watch(self, count: int, step: int) -> None:
        # What this pull took away was not waiting all the time any more.
        if self._least_before < self._most:
            self._least_before -= step
        self._least = min(
            self._least - step if self._least < self._most else self._most, self.depth
        )
        self._stepped += step
        self._pulled += count
        if self._pulled >= self._window:
            self._end_window()

    def _end_window(self) -> None:
        pulled, self._pulled = self._pulled, 0
        stepped, self._stepped = self._stepped, 0
        self._slipped -= pulled
        self._patience -= pulled
        if self._patience <= 0:
            self._set_band(self._pull)
        share = pulled / (_DRIFT_SECONDS * self._rate)
        self.drift += (stepped / pulled - self.drift) * share
        self._least_before, self._least = self._least, self._most

    def _conceal(self, count: int) -> Mix | None:
        length = round(CONCEAL * self._rate)
        where = np.arange(self._made_up, self._made_up + count)
        if self._made_up >= length:
            self._made_up = 0
            return None
        self._made_up += count
        self.concealed += count
        last = self._sound[self._read - self._frame : self._read].astype(np.float32)
        mirrored = np.concatenate([last[::-1], last])
        ramp = np.maximum(0.0, 1.0 - where / length).astype(np.float32)[:, np.newaxis]
        made: Mix = mirrored[where % len(mirrored)] * ramp
        return made

    def _join(self, sound: Mix) -> None:
        """Fade from what was made up into what came."""
        if self._slipped > 0 and self._burst < MAX_BURST:
            slip = max(self._burst + self._pull, len(sound) / self._rate)
            self._set_band(min(MAX_BURST, slip))
        self._slipped = RECENT * self._rate
        count = min(len(sound), round(_FADE * self._rate))
        made_up = self._conceal(count)
        ramp = np.linspace(0.0, 1.0, count, dtype=np.float32)[:, np.newaxis]
        sound[:count] *= ramp
        if made_up is not None:
            self.concealed -= count  # it covers nothing that is missing
            sound[:count] += made_up * (1 - ramp)
        self._made_up = 0

    def _remove(self, count: int) -> Samples:
        """Take the oldest samples, with the lock held; there are that many."""
        begin, self._read = self._read, self._read + count
        self.depth -= count
        return self._sound[begin : self._read]

    def _drop(self, count: int) -> None:
        """Let go of the oldest samples; what was played last comes before the others then."""
        before, self._read = self._read, self._read + count
        self.depth -= count
        self.dropped += count
        if count >= self._frame:  # else the reader may look there still
            last = self._sound[before - self._frame : before]
            self._sound[self._read - self._frame : self._read] = last

    def _begin_anew(self, count: int) -> None:
        """Make room for so many samples."""
        kept = self._sound[self._read - self._frame : self._written]
        size = max(len(self._sound), 2 * (len(kept) + count))
        self._sound = np.empty((size, kept.shape[1]), np.int16)
        self._sound[: len(kept)] = kept
        self._read, self._written = self._frame, len(kept)


def stretch(samples: Samples | Mix, count: int) -> Mix:
    """Return `count` samples in the time of all of `samples`, by cubic interpolation."""
    sound: Mix = samples.astype(np.float32)
    if len(samples) == count:
        return sound
    where, weights = _interpolation(len(samples), count)
    neighbours = sound.take(where, axis=0)
    neighbours *= weights
    stretched: Mix = neighbours.sum(axis=0)
    return stretched


@lru_cache(maxsize=256)
def _interpolation(given: int, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the four neighbours of each sample, `(4, count)`, and their weights, `(4, count, 1)`.

    Kept, as 64 voices may have to catch up in the same pull, just when there is no time.
    """
    # The ends stay where they are, so that the neighbouring pulls join without a step.
    position = np.arange(count) * (given / count)
    index = np.minimum(position.astype(np.int64), given - 1)
    t = position - index
    weights = (  # Catmull and Rom's: through every sample, with the slope of its neighbours
        (-t + 2 * t**2 - t**3) / 2,
        (2 - 5 * t**2 + 3 * t**3) / 2,
        (t + 4 * t**2 - 3 * t**3) / 2,
        (-(t**2) + t**3) / 2,
    )
    where = np.stack([np.clip(index + offset, 0, given - 1) for offset in (-1, 0, 1, 2)])
    return where, np.stack(weights).astype(np.float32)[:, :, np.newaxis]
