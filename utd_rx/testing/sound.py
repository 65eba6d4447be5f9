"""What was heard against what was sent, once `testing.alignment` has found where it lies.

Correlation and signal-to-noise ratio are those of the segments, each at its own place, under one
gain for all:

    heard = gain * sent + noise        correlation² = signal / (signal + noise)

Opus alone leaves 13–14 dB on voice-like sound (docs/audio.md, "Cards and sound servers"). A steady
tone fits itself after every period: its offset is arbitrary, so send something that does not
repeat.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import evolve, frozen

from utd_rx.audio.convert import playable, to_unit
from utd_rx.audio.levels import level_dbfs
from utd_rx.errors import invalid
from utd_rx.models.checks import typed
from utd_rx.testing import alignment
from utd_rx.testing.alignment import Signal

MAX_SECONDS: Final = 300.0
"""Longest signal; two of them take about 1.5 GB while they are transformed."""

MIN_CORRELATION: Final = 0.25
"""To be called a match: noise that is 11.7 dB louder gives it.

Unrelated sound at one lag gave up to 0.16 (speech backwards), with each segment at its own 0.27.
"""

MIN_COMPARED_SECONDS: Final = 0.2
"""Active sound that a match needs; in less, chance looks like likeness."""

HOLE_DB: Final = 20.0
"""A window is a hole when it is heard this much quieter than it should be."""

MAX_SNR_DB: Final = 120.0
"""Reported for what is heard exactly as sent; infinity is no JSON."""


@frozen(kw_only=True, field_transformer=typed)
class AudioComparison:
    """The figures of one comparison; those that need a match are None without one.

    `heard` is taken as continuous: where frames are missing from a recording, everything after
    lies earlier in it than it was heard, and the delays of those segments are too short.

    Args:
        is_match: What was sent was recognised in what was heard.
        offset: Where in the heard signal the sent one begins, in seconds; negative when the
            recording began later than that.
        delay: `offset` plus the difference of the two starts: from mouth to ear, in seconds.
        delay_min: Shortest delay of a recognised segment.
        delay_max: Longest delay of a recognised segment; both equal where time was not stretched.
        correlation: Coefficient after alignment, -1 to 1; negative for turned polarity.
        snr_db: Signal-to-noise ratio after alignment and gain, losses included.
        gain_db: How much louder it was heard than sent.
        sent_seconds: Length of what was sent.
        heard_seconds: Length of what was heard.
        sent_level_dbfs: Level of all that was sent.
        heard_level_dbfs: Level of all that was heard.
        compared_seconds: Active sound that was sent while the recording ran.
        lost_seconds: Part of it that is a hole in what was heard, or not recognised.
        outside_seconds: Active sound that was sent before the recording began or after its end.
    """

    is_match: bool = False
    offset: float | None = None
    delay: float | None = None
    delay_min: float | None = None
    delay_max: float | None = None
    correlation: float = 0.0
    snr_db: float | None = None
    gain_db: float | None = None
    sent_seconds: float
    heard_seconds: float
    sent_level_dbfs: float
    heard_level_dbfs: float
    compared_seconds: float
    lost_seconds: float
    outside_seconds: float = 0.0


def compare(
    sent: npt.NDArray[Any],
    heard: npt.NDArray[Any],
    sample_rate: int,
    *,
    sent_started_at: float = 0.0,
    heard_started_at: float = 0.0,
    min_delay: float | None = None,
    max_delay: float | None = None,
) -> AudioComparison:
    """Compare what was heard with what was sent.

    Silence or something else on either side is a result (`is_match` is False), not an error.

    Args:
        sent: Shape `(samples,)` or `(samples, channels)`, channels are averaged; integers of 8, 16
            or 32 bits, or floats with full scale ±1, of which those that are not finite count as
            silence.
        heard: The same; of another length if need be.
        sample_rate: Of both, in Hz.
        sent_started_at: When the first sample was sent, in seconds of a clock common to both.
        heard_started_at: When the first sample was heard, on the same clock.
        min_delay: Shortest delay to look for, in seconds; None for no bound.
        max_delay: Longest delay to look for; None for no bound.

    Raises:
        UTDStreamException: `VALIDATION`, for a signal longer than `MAX_SECONDS`, of another
            shape, or a rate that is not possible.
    """
    if playable(sample_rate, 1).sample_rate != sample_rate:
        raise invalid(
            f"cannot compare at {sample_rate} Hz, which has no windows of 10 ms: convert first"
        )
    clean, noisy = _mono(sent, sample_rate), _mono(heard, sample_rate)
    between = heard_started_at - sent_started_at
    lowest = None if min_delay is None else round((min_delay - between) * sample_rate)
    highest = None if max_delay is None else round((max_delay - between) * sample_rate)
    lag = alignment.find_lag(clean, noisy, lowest, highest)
    active = alignment.active_windows(clean, sample_rate)
    active_seconds = _seconds(active)
    unlike = AudioComparison(
        sent_seconds=len(clean) / sample_rate,
        heard_seconds=len(noisy) / sample_rate,
        sent_level_dbfs=level_dbfs(clean),
        heard_level_dbfs=level_dbfs(noisy),
        compared_seconds=active_seconds,
        lost_seconds=active_seconds,
    )
    if lag is None:
        return unlike
    segments = alignment.follow_segments(clean, noisy, sample_rate, lag, lowest, highest)
    aligned, is_inside = _rearrange(noisy, len(clean), segments.lags, sample_rate)
    correlation, gain = _fit(clean[is_inside], aligned[is_inside])
    count, size = len(active), alignment.window_length(sample_rate)
    is_compared = active & is_inside[: count * size].reshape(count, size).all(axis=1)
    if abs(correlation) < MIN_CORRELATION or _seconds(is_compared) < MIN_COMPARED_SECONDS:
        return evolve(unlike, correlation=correlation)
    expected = gain**2 * alignment.window_energy(clean, sample_rate)
    is_hole = alignment.window_energy(aligned, sample_rate) < expected * 10 ** (-HOLE_DB / 10)
    is_missing = np.repeat(segments.is_missing, alignment.WINDOWS_PER_SEGMENT)[:count]
    is_lost = is_compared & (is_hole | is_missing)
    if 2 * _seconds(is_lost) > _seconds(is_compared):
        # Each segment had a choice of places, so chance helped: only one place for all counts.
        unmoved, is_inside = _rearrange(
            noisy, len(clean), np.full_like(segments.lags, lag), sample_rate
        )
        if abs(_fit(clean[is_inside], unmoved[is_inside])[0]) < MIN_CORRELATION:
            return evolve(unlike, correlation=correlation)
    signal = min(1.0, correlation**2)
    noise = max(1.0 - signal, 10 ** (-MAX_SNR_DB / 10))
    delay = lag / sample_rate + between
    delays = segments.lags[segments.is_recognised] / sample_rate + between
    return evolve(
        unlike,
        is_match=True,
        offset=lag / sample_rate,
        delay=delay,
        delay_min=float(np.min(delays)) if len(delays) else delay,
        delay_max=float(np.max(delays)) if len(delays) else delay,
        correlation=correlation,
        snr_db=10 * float(np.log10(signal / noise)),
        gain_db=20 * float(np.log10(abs(gain))),
        compared_seconds=_seconds(is_compared),
        lost_seconds=_seconds(is_lost),
        outside_seconds=_seconds(active & ~is_compared),
    )


def _mono(samples: npt.NDArray[Any], sample_rate: int) -> Signal:
    if samples.ndim not in (1, 2) or len(samples) > MAX_SECONDS * sample_rate:
        raise invalid(
            f"cannot compare an array of shape {samples.shape}: give (samples,) or (samples, "
            f"channels) of at most {MAX_SECONDS:g} s"
        )
    values = np.nan_to_num(to_unit(samples), posinf=0.0, neginf=0.0)
    return values if values.ndim == 1 else values.mean(axis=1)


def _rearrange(
    heard: Signal, length: int, lags: npt.NDArray[np.int64], sample_rate: int
) -> tuple[Signal, npt.NDArray[np.bool_]]:
    """Return `heard` with each segment moved onto what was sent, and where there is any."""
    size = alignment.WINDOWS_PER_SEGMENT * alignment.window_length(sample_rate)
    aligned = np.zeros(length)
    is_inside = np.zeros(length, dtype=np.bool_)
    for index, lag in enumerate(lags.tolist()):
        begin = max(index * size, -lag)
        end = min((index + 1) * size, length, len(heard) - lag)
        if begin < end:
            aligned[begin:end] = heard[begin + lag : end + lag]
            is_inside[begin:end] = True
    return aligned, is_inside


def _fit(sent: Signal, heard: Signal) -> tuple[float, float]:
    """Return the correlation coefficient and the gain that leaves the least noise."""
    sent_energy, heard_energy = float(np.dot(sent, sent)), float(np.dot(heard, heard))
    if sent_energy <= 0 or heard_energy <= 0:
        return 0.0, 0.0
    product = float(np.dot(sent, heard))
    return product / float(np.sqrt(sent_energy * heard_energy)), product / sent_energy


def _seconds(windows: npt.NDArray[np.bool_]) -> float:
    return int(np.count_nonzero(windows)) / alignment.WINDOWS_PER_SECOND
