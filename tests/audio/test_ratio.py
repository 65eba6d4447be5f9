"""A whole ratio is converted at once, as soxr does it in blocks: nothing added, nothing lost."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
import pytest

from utd_rx.audio.convert import Converter
from utd_rx.audio.ratio import RatioStream, is_whole
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, Samples

PAIRS = [
    (48_000, 24_000),
    (24_000, 48_000),
    (48_000, 16_000),
    (16_000, 48_000),
    (48_000, 8_000),
    (8_000, 48_000),
    (192_000, 48_000),
]
PAIR = pytest.mark.parametrize(("source", "target"), PAIRS)


def sine(frequency: float, sample_rate: int, seconds: float = 0.5) -> npt.NDArray[np.float64]:
    at = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.asarray(10_000 * np.sin(2 * np.pi * frequency * at))


def converted(sound: npt.NDArray[np.float64], source: int, target: int) -> Samples:
    """Frame by frame, as it comes, with its end."""
    stream = RatioStream(source, target, 1)
    frames = np.rint(sound).astype(np.int16)[:, np.newaxis].reshape(-1, source // 100, 1)
    pieces = [stream.resample_chunk(frame) for frame in frames]
    return np.concatenate([*pieces, stream.resample_chunk(frames[0, :0], last=True)])[:, 0]


@PAIR
def test_a_tone_is_the_same_tone_at_the_same_time(source: int, target: int) -> None:
    heard = converted(sine(1_000, source), source, target)
    assert len(heard) == target // 2
    middle = slice(target // 50, -target // 50)
    assert np.abs(heard - sine(1_000, target))[middle].max() < 3


@PAIR
def test_what_the_lower_rate_cannot_hold_is_gone_and_what_it_can_is_there(
    source: int, target: int
) -> None:
    lower = min(source, target)
    kept = converted(sine(0.39 * lower, source), source, target)
    inside = kept[target // 50 : -target // 50]
    assert np.abs(inside).max() == pytest.approx(10_000, rel=0.02)
    if source > target:
        gone = converted(sine(0.51 * lower, source), source, target)
        assert np.abs(gone[target // 50 : -target // 50]).max() < 5
    else:
        heard = converted(sine(0.39 * lower, source, 1.0), source, target).astype(float)
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        images = spectrum[len(heard) * lower // (2 * target) + 50 :]
        assert images.max() < spectrum.max() / 3_000


@PAIR
def test_it_holds_back_24_samples_of_the_lower_rate(source: int, target: int) -> None:
    stream = RatioStream(source, target, 2)
    out = 0
    for count in range(1, 20):
        frame = np.zeros((source // 100, 2), np.int16)
        out += len(stream.resample_chunk(frame))
        held = count / 100 - out / target
        assert 0 < held <= 24.5 / min(source, target)


def test_two_channels_stay_apart_and_too_loud_a_sum_does_not_wrap_around() -> None:
    stream = RatioStream(24_000, 48_000, 2)
    edge = np.repeat(np.array([[32_767, -32_768], [-32_768, 32_767]], np.int16), 50, axis=0)
    heard = stream.resample_chunk(np.tile(edge, (4, 1))).astype(int)
    assert heard[10:90, 0].min() > 30_000
    assert heard[110:190, 0].max() < -30_000
    assert np.abs(heard[:, 0] + heard[:, 1]).max() <= 2


def test_after_clear_and_after_the_end_it_begins_anew() -> None:
    stream = RatioStream(48_000, 24_000, 1)
    loud, silence = np.full((480, 1), 9_000, np.int16), np.zeros((480, 1), np.int16)
    stream.resample_chunk(loud)
    stream.clear()
    assert not stream.resample_chunk(silence).any()
    converter = Converter(AudioFormat(48_000), AudioFormat(24_000))
    assert len(converter.push(loud)) + len(converter.finish()) == 240
    assert not converter.push(silence).any()


def test_only_other_ratios_need_soxr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    for source, target in PAIRS:
        assert is_whole(source, target)
        Converter(AudioFormat(source), AudioFormat(target))
    with pytest.raises(UTDStreamException, match="pip install") as caught:
        Converter(AudioFormat(44_100), AudioFormat(24_000))
    assert caught.value.code is UTDErrorCode.FEATURE_DISABLED
