"""The limiter never wraps around or clips, and leaves alone what fits."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.audio.mixer import CEILING, RELEASE, Limiter

RATE = 48_000


def tone(
    amplitude: float, seconds: float = 0.005, start: int = 0
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    at = np.arange(start, start + round(seconds * RATE))
    wave = amplitude * np.sin(2 * np.pi * 440 * at / RATE)
    return wave.astype(np.float32)[:, np.newaxis]


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=20),
    st.integers(1, 700),
    st.integers(1, 2),
    st.integers(0, 2**32 - 1),
)
def test_every_sample_keeps_its_sign_and_fits(
    amplitudes: list[float], size: int, channels: int, seed: int
) -> None:
    limiter, random = Limiter(RATE), np.random.default_rng(seed)
    for amplitude in amplitudes:
        mix = (random.uniform(-1, 1, (size, channels)) * amplitude).astype(np.float32)
        limited = limiter.push(mix)
        assert limited.dtype == np.int16
        assert limited.shape == mix.shape
        assert np.max(np.abs(limited.astype(np.int32))) <= CEILING
        assert np.all(limited.astype(np.int32) * mix >= 0)
        assert np.all(np.abs(limited) <= np.abs(mix) + 0.5)


def test_what_fits_passes_unchanged() -> None:
    mix = tone(32_000.0, 0.1)
    assert np.array_equal(Limiter(RATE).push(mix), np.rint(mix).astype(np.int16))


def test_two_voices_too_loud_stay_a_sine_of_full_scale() -> None:
    limiter = Limiter(RATE)
    heard = np.concatenate([limiter.push(tone(60_000.0, start=k * 240)) for k in range(100)])
    settled = heard[RATE // 10 :, 0].astype(np.float64)
    clean = tone(1.0, 0.5)[RATE // 10 :, 0].astype(np.float64)
    correlation = np.corrcoef(settled, clean)[0, 1]
    assert correlation > 0.999  # clipped, it would be 0.98
    assert np.max(np.abs(settled)) > 30_000


def test_the_gain_comes_back() -> None:
    limiter = Limiter(RATE)
    limiter.push(tone(100_000.0))
    turned_down = limiter.gain
    assert turned_down < 0.5
    limiter.push(tone(1000.0, RELEASE))
    assert limiter.gain > turned_down + 0.6 * (1 - turned_down) - 0.05
    limiter.push(tone(1000.0, 20 * RELEASE))
    assert limiter.gain == 1.0
