"""The figures of a comparison are true: known delay, gain, noise and losses are found again."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest
from attrs import asdict
from hypothesis import given, settings
from hypothesis import strategies as st

from utd_rx.audio import read_wav, speech_path
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.testing.sound import MAX_SECONDS, MAX_SNR_DB, compare

pytestmark = pytest.mark.long

Signal = npt.NDArray[np.float64]

RATE = 16_000
SPEECH: Signal = read_wav(speech_path())[1][::3, 0] / 32_768

ACTIVE_SECONDS = compare(SPEECH, SPEECH, RATE).compared_seconds


def silence(seconds: float) -> Signal:
    return np.zeros(round(seconds * RATE))


def noise_at(snr_db: float, signal: Signal, seed: int) -> Signal:
    noise: Signal = np.random.RandomState(seed).standard_normal(len(signal))
    return noise * float(np.sqrt(np.mean(np.square(SPEECH)))) * 10 ** (-snr_db / 20)


@settings(max_examples=40)
@given(
    delay=st.floats(0.0, 2.0),
    tail=st.floats(0.0, 1.0),
    gain_db=st.floats(-30.0, 0.0),
    snr_db=st.floats(0.0, 40.0),
    head_start=st.floats(-1.0, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_known_delay_gain_and_noise_are_found(
    delay: float, tail: float, gain_db: float, snr_db: float, head_start: float, seed: int
) -> None:
    heard = np.concatenate((silence(delay), SPEECH, silence(tail)))
    heard = (heard + noise_at(snr_db, heard, seed)) * 10 ** (gain_db / 20)
    result = compare(SPEECH, heard, RATE, sent_started_at=50.0, heard_started_at=50.0 + head_start)
    assert result.is_match
    assert result.offset == pytest.approx(delay, abs=1 / RATE)
    assert result.delay == pytest.approx(delay + head_start, abs=1 / RATE)
    assert result.delay is not None
    assert result.delay_min is not None
    assert result.delay_max is not None
    assert result.delay_min <= result.delay <= result.delay_max
    assert result.snr_db == pytest.approx(snr_db, abs=0.3)
    assert result.gain_db == pytest.approx(gain_db, abs=0.3)
    assert result.correlation == pytest.approx((1 + 10 ** (-snr_db / 10)) ** -0.5, abs=0.02)
    assert result.outside_seconds == 0
    assert result.lost_seconds <= 0.4
    if snr_db >= 6:  # in more noise a syllable may seem to fit a period of its pitch further
        assert result.delay_max - result.delay_min < 0.001
        assert result.lost_seconds == 0


def test_the_same_is_a_perfect_match() -> None:
    result = compare(SPEECH, SPEECH, RATE)
    assert (result.offset, result.delay, result.snr_db) == (0.0, 0.0, MAX_SNR_DB)
    assert result.correlation == pytest.approx(1.0)
    assert result.gain_db == pytest.approx(0.0)
    assert (result.lost_seconds, result.outside_seconds) == (0.0, 0.0)
    assert (result.sent_seconds, result.heard_seconds) == (4.0, 4.0)
    assert result.sent_level_dbfs == result.heard_level_dbfs
    assert 2.0 < result.compared_seconds < 3.5


def test_turned_polarity_is_a_match_with_a_negative_correlation() -> None:
    result = compare(SPEECH, -0.5 * SPEECH, RATE)
    assert result.is_match
    assert result.correlation == pytest.approx(-1.0)
    assert result.gain_db == pytest.approx(-6.02, abs=0.01)


@settings(max_examples=40)
@given(st.floats(0.0, 3.0), st.floats(0.04, 0.6))
def test_holes_are_counted(start: float, length: float) -> None:
    heard = np.concatenate((silence(0.05), SPEECH))
    first, last = round(start * RATE), round((start + length) * RATE)
    heard[800 + first : 800 + last] = 0
    result = compare(SPEECH, heard, RATE)
    assert result.is_match
    # In active windows of 10 ms; at each end of the hole one may count or not. A segment of
    # which next to nothing is left counts as a whole.
    loud = np.square(SPEECH[first:last]) > np.max(np.square(SPEECH)) * 1e-4
    assert result.compared_seconds == ACTIVE_SECONDS
    assert result.lost_seconds <= length + 0.3
    assert result.lost_seconds >= np.count_nonzero(loud) / RATE * 0.8 - 0.04


def test_sound_that_is_replaced_by_something_as_loud_is_lost() -> None:
    heard, first, last = SPEECH.copy(), round(2.0 * RATE), round(2.8 * RATE)
    heard[first:last] = noise_at(0.0, heard[first:last], 1)
    result = compare(SPEECH, heard, RATE)
    assert result.is_match
    assert 0.5 < result.lost_seconds <= 0.8


@pytest.mark.parametrize(("at", "more"), [(2.0, 0.04), (2.0, 0.1), (1.7, 0.2)])
def test_a_delay_that_grows_is_seen_in_its_range_and_costs_no_sound(at: float, more: float) -> None:
    cut = round(at * RATE)
    heard = np.concatenate((silence(0.1), SPEECH[:cut], silence(more), SPEECH[cut:]))
    result = compare(SPEECH, heard, RATE)
    assert result.delay_min == pytest.approx(0.1)
    assert result.delay_max == pytest.approx(0.1 + more)
    assert result.lost_seconds == 0
    assert result.snr_db is not None
    assert result.snr_db > 40


@settings(max_examples=30)
@given(st.floats(0.0, 2.0), st.floats(0.0, 1.0))
def test_a_recording_that_begins_late_and_ends_early_is_compared_where_it_is(
    late: float, early: float
) -> None:
    heard = SPEECH[round(late * RATE) : round((4.0 - early) * RATE)]
    result = compare(SPEECH, heard, RATE, heard_started_at=late + 0.08)
    assert result.is_match
    assert result.offset == pytest.approx(-late, abs=1 / RATE)
    assert result.delay == pytest.approx(0.08, abs=1 / RATE)
    assert result.lost_seconds == 0
    assert result.compared_seconds + result.outside_seconds == pytest.approx(ACTIVE_SECONDS)


def test_the_delay_is_looked_for_within_its_bounds() -> None:
    heard = np.concatenate((silence(0.35), SPEECH))
    inside = compare(
        SPEECH, heard, RATE, sent_started_at=9.0, heard_started_at=8.75, min_delay=0, max_delay=0.2
    )
    assert inside.delay == pytest.approx(0.1)
    assert not compare(SPEECH, heard, RATE, min_delay=0, max_delay=0.2).is_match
    assert not compare(SPEECH, heard, RATE, max_delay=-10).is_match


@pytest.mark.parametrize(
    "heard",
    [
        np.zeros(0),
        np.zeros(1),
        silence(6.0),
        np.random.RandomState(1).standard_normal(5 * RATE) * 0.1,
        np.sin(2 * np.pi * 150 * np.arange(5 * RATE) / RATE),
        SPEECH[::-1],
        SPEECH[: RATE // 10],
        np.full(RATE, np.nan),
        np.full(RATE, np.inf),
    ],
    ids=[
        "nothing",
        "one sample",
        "silence",
        "noise",
        "hum",
        "backwards",
        "too little",
        "nan",
        "infinite",
    ],
)
def test_something_else_is_no_match_and_no_error(heard: Signal) -> None:
    for sent, other in ((SPEECH, heard), (heard, SPEECH)):
        result = compare(sent, other, RATE)
        assert not result.is_match
        assert result.offset is result.delay is result.snr_db is result.gain_db is None
        assert result.lost_seconds == result.compared_seconds
        assert json.dumps(asdict(result), allow_nan=False)


def test_integers_floats_and_channels_are_alike() -> None:
    whole = (SPEECH * 32_768).astype(np.int16)
    stereo = np.stack((whole, whole), axis=1)
    for heard in (whole, whole[:, np.newaxis], stereo, SPEECH.astype(np.float32)):
        result = compare(stereo, heard, RATE)
        assert result.offset == 0
        assert result.gain_db == pytest.approx(0, abs=0.01)


def test_a_match_can_be_written_as_json() -> None:
    assert json.dumps(asdict(compare(SPEECH, SPEECH, RATE)), allow_nan=False)


@pytest.mark.parametrize(
    ("heard", "rate", "reason"),
    [
        (np.zeros((2, 2, 2)), RATE, "shape"),
        (np.zeros(round(MAX_SECONDS * 8_000) + 1), 8_000, "at most 300 s"),
        (SPEECH, 22_050, "22050 Hz"),
    ],
)
def test_what_cannot_be_compared_is_refused(heard: Signal, rate: int, reason: str) -> None:
    with pytest.raises(UTDStreamException, match=reason) as caught:
        compare(SPEECH, heard, rate)
    assert caught.value.code is UTDErrorCode.VALIDATION
