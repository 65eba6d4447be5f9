"""Conversion as it is wired: any cut into blocks gives the same sound, and none is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.audio.convert import Converter, to_channels
from utd_rx.models.audio import AudioFormat, Samples

RATES = st.sampled_from([8_000, 16_000, 32_000, 44_100, 48_000, 96_000, 192_000])
CHANNELS = st.integers(1, 2)
HELD_BACK = 800
"""Samples of the lower rate that a stream of soxr's "LQ" may keep; 603 are the most seen."""

DITHER = 2


def chirp(count: int, channels: int) -> Samples:
    """A sound that is nowhere the same, the second channel the first one's negative."""
    wave = np.rint(12_000 * np.sin(1e-5 * np.arange(count) ** 1.8 % (2 * np.pi)))
    sound = np.stack([wave, -wave][:channels], axis=1).astype(np.int16)
    return np.ascontiguousarray(sound)


def convert(converter: Converter, sound: Samples, cuts: list[int]) -> Samples:
    return np.concatenate([converter.push(part) for part in np.split(sound, sorted(cuts))])


@given(RATES, RATES, CHANNELS, CHANNELS, st.lists(st.integers(0, 4_000), max_size=20))
def test_blocks_do_not_matter(
    source: int, target: int, from_channels: int, to: int, cuts: list[int]
) -> None:
    formats = AudioFormat(source, from_channels), AudioFormat(target, to)
    sound = chirp(4_000, from_channels)
    whole = convert(Converter(*formats), sound, [])
    cut = convert(Converter(*formats), sound, cuts)
    assert cut.dtype == np.int16
    assert cut.shape[1] == to
    shared = min(len(whole), len(cut))
    assert abs(len(whole) - len(cut)) <= HELD_BACK * target / min(source, target)
    assert np.abs(whole[:shared].astype(int) - cut[:shared]).max(initial=0) <= DITHER


@given(RATES, RATES, CHANNELS, st.integers(1, 5_000))
def test_no_sample_is_lost(source: int, target: int, channels: int, block: int) -> None:
    converter = Converter(AudioFormat(source, channels), AudioFormat(target, channels))
    kept = HELD_BACK * target / min(source, target)
    pushed = taken = 0
    for _ in range(8):
        pushed += block
        taken += len(converter.push(chirp(block, channels)))
        due = pushed * target / source
        assert due - kept <= taken <= due + 1


@pytest.mark.parametrize(
    ("source", "target"), [(44_100, 48_000), (48_000, 16_000), (8_000, 48_000)]
)
def test_a_tone_keeps_its_pitch_and_its_level(source: int, target: int) -> None:
    tone = np.rint(8_000 * np.sin(2 * np.pi * 440 * np.arange(source) / source))
    heard = Converter(AudioFormat(source), AudioFormat(target)).push(tone.astype(np.int16)[:, None])
    middle = heard[target // 4 : target // 4 + target // 2, 0].astype(float)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * target / len(middle) == pytest.approx(440, abs=2)
    assert np.abs(middle).max() == pytest.approx(8_000, rel=0.02)


@given(CHANNELS, CHANNELS)
def test_channels_are_doubled_or_averaged(before: int, after: int) -> None:
    sound = chirp(100, before)
    got = to_channels(sound, after)
    assert got.shape == (100, after)
    if (before, after) == (2, 1):
        assert not got.any()  # the second channel is the first one's negative
    else:
        assert (got[:, 0] == sound[:, 0]).all()
