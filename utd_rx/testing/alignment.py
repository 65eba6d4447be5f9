"""Where one signal lies in another: as a whole, and piece by piece.

`find_lag` takes the greatest cross-correlation of the whole. A jitter buffer stretches and
squeezes time, so `follow_segments` then looks for each `SEGMENT` again near that lag.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from attrs import frozen

Signal: TypeAlias = npt.NDArray[np.float64]
"""Mono, shape `(samples,)`, full scale ±1."""

WINDOWS_PER_SECOND: Final = 100
"""Sound is judged in windows of 10 ms, the frame: a lost packet of 20 ms holds at least one."""

WINDOWS_PER_SEGMENT: Final = 20
"""A segment is 0.2 s, a syllable: enough to be recognised, and short beside what stretches it.

Chosen on six recordings from loopback rooms on a busy machine: 0.4 s gave an SNR of 1.0–8.3 dB
and 0–0.7 s lost, 0.2 s gave 4.6–8.9 dB and 0–0.3 s.
"""

SEARCH_SECONDS: Final = 0.25
"""How far a segment may lie from the place that the whole's lag gives it."""

MIN_SEGMENT_CORRELATION: Final = 0.5
"""To call a segment recognised near its predecessor's lag."""

NEAR_SECONDS: Final = 0.06
"""What a jitter buffer stretches or squeezes at most within a segment, unless it was emptied."""

MIN_FAR_CORRELATION: Final = 0.75
"""To call it recognised farther away, where one vowel may be like another by chance."""

_KEEP: Final = 0.98
"""A lag is kept when it is this close to the best: voiced sound nearly fits a period further."""

_ACTIVE_RANGE: Final = 1e-4
"""A window is active down to 40 dB under the loudest one; quieter ones are pauses."""

_TELLING: Final = 0.1
"""Of the mean energy of a segment: a quieter one drowns in what a codec adds, and is not judged."""

_SILENCE: Final = 1e-9
"""Mean square of -90 dBFS: nothing but rounding."""


@frozen(eq=False)
class Segments:
    """How the segments of a signal lie in another; each array has one entry per segment.

    A lag, in samples, of one that is not recognised is that of the recognised neighbour it fits
    better. Pauses and parts outside the recording are neither recognised nor missing.
    """

    lags: npt.NDArray[np.int64]
    is_recognised: npt.NDArray[np.bool_]
    is_missing: npt.NDArray[np.bool_]


def find_lag(
    sent: Signal, heard: Signal, lowest: int | None = None, highest: int | None = None
) -> int | None:
    """Return the lag with `heard[t + lag]` most like `sent[t]`, in either polarity.

    None when one of them is silent or no lag within the bounds lets them overlap.
    """
    if _power(sent) < _SILENCE or _power(heard) < _SILENCE:
        return None
    first = max(1 - len(sent), -len(sent) if lowest is None else lowest)
    last = min(len(heard) - 1, len(heard) if highest is None else highest)
    if first > last:
        return None
    likeness = _cross_correlation(sent, heard)
    # Negative lags stand at the transform's end, where negative indices find them.
    return first + int(np.argmax(np.abs(likeness[np.arange(first, last + 1)])))


def window_length(sample_rate: int) -> int:
    """Return the samples of a window."""
    return sample_rate // WINDOWS_PER_SECOND


def active_windows(sent: Signal, sample_rate: int) -> npt.NDArray[np.bool_]:
    """Return which windows of a signal hold sound; a last one that is not full does not count."""
    energy = window_energy(sent, sample_rate)
    loudest = float(np.max(energy, initial=0.0))
    if loudest < _SILENCE * window_length(sample_rate):
        return np.zeros(len(energy), dtype=np.bool_)
    return energy > loudest * _ACTIVE_RANGE


def window_energy(signal: Signal, sample_rate: int) -> Signal:
    """Return the sum of squares of each full window."""
    size = window_length(sample_rate)
    count = len(signal) // size
    energy: Signal = np.sum(np.square(signal[: count * size].reshape(count, size)), axis=1)
    return energy


def follow_segments(
    sent: Signal,
    heard: Signal,
    sample_rate: int,
    lag: int,
    lowest: int | None = None,
    highest: int | None = None,
) -> Segments:
    """Return where each segment of `sent` lies in `heard`, near `lag` and within the bounds."""
    size = WINDOWS_PER_SEGMENT * window_length(sample_rate)
    reach, near = round(SEARCH_SECONDS * sample_rate), round(NEAR_SECONDS * sample_rate)
    nearest = lag - reach if lowest is None else max(lag - reach, lowest)
    farthest = lag + reach if highest is None else min(lag + reach, highest)
    telling = _TELLING * _power(sent) * size
    energy_before = np.concatenate(([0.0], np.cumsum(np.square(heard))))
    if _product(sent, heard, lag) < 0:
        heard = -heard
    count = -(-len(sent) // size)
    lags = np.zeros(count, dtype=np.int64)
    is_recognised, is_missing = np.zeros((2, count), dtype=np.bool_)
    current = lag
    for index, start in enumerate(range(0, len(sent), size)):
        # Only the part that can be in the recording at all.
        begin, end = max(start, -current), min(start + size, len(sent), len(heard) - current)
        piece = sent[begin:end]
        is_telling = float(np.dot(piece, piece)) > telling
        bounds = (begin + nearest, begin + farthest, begin + current)
        found = _find_piece(piece, heard, energy_before, *bounds, near) if is_telling else None
        if found is not None:
            current = found - begin
        lags[index] = current
        is_recognised[index] = found is not None
        is_missing[index] = is_telling and found is None
    following = int(lags[np.argmax(is_recognised)]) if is_recognised.any() else lag
    for index in reversed(range(count)):
        if is_recognised[index]:
            following = int(lags[index])
            continue
        # It lies as one of its neighbours does; before the first one there is no choice.
        piece, start = sent[index * size : (index + 1) * size], index * size
        before = [int(lags[index])] if is_recognised[:index].any() else []
        lags[index] = max(
            [*before, following], key=lambda place: _product(piece, heard, start + place)
        )
    return Segments(lags, is_recognised, is_missing)


def _product(piece: Signal, heard: Signal, start: int) -> float:
    """Return the sum of products with what lies in `heard` from `start`, outside it silence."""
    there = heard[max(0, start) : max(0, start + len(piece))]
    return float(np.dot(piece[max(0, -start) :][: len(there)], there))


def _find_piece(
    piece: Signal,
    heard: Signal,
    energy_before: Signal,
    first: int,
    last: int,
    previous: int,
    near: int,
) -> int | None:
    """Return where in `heard` it begins, from first to last; None when nothing is like it."""
    first, last = max(0, first), min(len(heard) - len(piece), last)
    if first > last:
        return None
    products = _cross_correlation(piece, heard[first : last + len(piece)])
    starts = np.arange(first, last + 1)
    energies = energy_before[starts + len(piece)] - energy_before[starts]
    floor = _SILENCE * len(piece)
    scale = np.sqrt(np.maximum(energies, floor) * float(np.dot(piece, piece)))
    likeness = products[: len(starts)] / scale
    is_near = np.abs(starts - previous) <= near
    convincing = np.where(is_near, MIN_SEGMENT_CORRELATION, MIN_FAR_CORRELATION)
    candidates = np.where(likeness >= convincing, likeness, 0.0)
    best = int(np.argmax(candidates))
    if candidates[best] <= 0:
        return None
    if first <= previous <= last and likeness[previous - first] >= _KEEP * likeness[best]:
        return previous
    return first + best


def _cross_correlation(short: Signal, long: Signal) -> Signal:
    """Return `sum(short[t] * long[t + lag])` at index `lag`, negative ones from the end."""
    size = 1 << (len(short) + len(long) - 1).bit_length()
    spectrum = np.fft.rfft(long, size) * np.conj(np.fft.rfft(short, size))
    return np.fft.irfft(spectrum, size)


def _power(signal: Signal) -> float:
    return float(np.mean(np.square(signal))) if len(signal) else 0.0
