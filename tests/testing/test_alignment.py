"""A signal is found in another wherever it lies, and followed where time was stretched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.testing.alignment import (
    Signal,
    active_windows,
    find_lag,
    follow_segments,
    window_energy,
)

RATE = 8_000


def noise(seed: int, count: int) -> Signal:
    return np.random.RandomState(seed).standard_normal(count) * 0.1


@given(st.integers(0, 2**32 - 1), st.integers(-3_000, 3_000), st.sampled_from([1.0, -0.3]))
def test_the_lag_is_found_exactly(seed: int, lag: int, gain: float) -> None:
    whole = noise(seed, 12_000)
    sent, heard = whole[3_000:9_000], gain * whole[3_000 - lag : 9_000]
    assert find_lag(sent, heard) == lag


@given(st.integers(-499, 499), st.integers(-499, 499), st.integers(-499, 499))
def test_a_lag_is_looked_for_within_its_bounds_only(lag: int, one: int, other: int) -> None:
    whole = noise(1, 3_000)
    lowest, highest = min(one, other), max(one, other)
    found = find_lag(whole[1_000:2_000], whole[1_000 - lag : 2_000], lowest, highest)
    assert found is not None
    assert lowest <= found <= highest
    if lowest <= lag <= highest:
        assert found == lag


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (np.zeros(0), np.ones(9)),
        (np.ones(9), np.zeros(0)),
        (np.zeros(9), np.ones(9)),
        (np.ones(9), np.zeros(9)),
    ],
)
def test_in_silence_nothing_is_found(sent: Signal, heard: Signal) -> None:
    assert find_lag(sent, heard) is None


def test_beyond_the_ends_nothing_is_found() -> None:
    assert find_lag(np.ones(9), np.ones(9), 9, 20) is None
    assert find_lag(np.ones(9), np.ones(9), -20, -9) is None


# Not the last segment but one: were it cut away, the last would seem to be beyond the recording.
@given(st.integers(0, 2**32 - 1), st.integers(-1_500, 1_500), st.integers(2, 7))
def test_segments_are_followed_through_a_change_of_delay(
    seed: int, change: int, boundary: int
) -> None:
    sent, at = noise(seed, 10 * 1_600), boundary * 1_600
    gap = noise(seed ^ 1, max(0, change))
    heard = np.concatenate((sent[:at], gap, sent[at - min(0, change) :]))
    segments = follow_segments(sent, heard, RATE, 0)
    is_after = np.arange(10) >= boundary
    # The part of a segment that was cut away cannot be found; all others must be.
    is_whole = np.arange(10) != boundary if change < 0 else np.ones(10, dtype=np.bool_)
    assert np.all(segments.is_recognised[is_whole])
    assert np.array_equal(segments.lags[is_whole], np.where(is_after, change, 0)[is_whole])


def test_an_unrecognised_segment_stays_where_its_predecessor_was() -> None:
    sent = noise(1, 5 * 1_600)
    heard = np.concatenate((noise(2, 100), sent[:3_200], noise(3, 1_600), sent[4_800:]))
    segments = follow_segments(sent, heard, RATE, 100)
    assert segments.lags.tolist() == [100] * 5
    assert segments.is_recognised.tolist() == [True, True, False, True, True]
    assert segments.is_missing.tolist() == [False, False, True, False, False]


def test_a_pause_is_neither_recognised_nor_missing() -> None:
    sent = np.concatenate((noise(1, 1_600), np.zeros(1_600), noise(2, 1_600)))
    segments = follow_segments(sent, sent, RATE, 0)
    assert segments.is_recognised.tolist() == [True, False, True]
    assert not segments.is_missing.any()


def test_windows_forty_decibels_down_are_pauses() -> None:
    signal = np.repeat([0.5, 0.0, 0.006, 0.004], 80)
    assert active_windows(signal, RATE).tolist() == [True, False, True, False]
    assert window_energy(signal, RATE)[0] == pytest.approx(20.0)
    assert not active_windows(np.full(800, 1e-6), RATE).any()
