"""Whatever length and rate an input delivers, LiveKit gets 10 ms of one format, in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame
from utd_rx.rtc.feeder import Cutter

FORMAT = AudioFormat(8_000, 2)
SIZE = FORMAT.samples_per_frame


def ramp(begin: int, length: int) -> AudioFrame:
    numbers = np.arange(begin, begin + length, dtype=np.int16)
    return AudioFrame(np.repeat(numbers[:, None], 2, axis=1), FORMAT.sample_rate)


def sound(pieces: list[bytes]) -> list[int]:
    assert all(len(piece) == SIZE * 2 * 2 for piece in pieces)
    return [int(n) for n in np.frombuffer(b"".join(pieces), np.int16).reshape(-1, 2)[:, 0]]


@given(st.lists(st.integers(0, 4 * SIZE), max_size=20))
def test_every_sample_comes_out_once_and_the_last_ones_with_silence(lengths: list[int]) -> None:
    cutter, begin, pieces = Cutter(FORMAT), 0, list[bytes]()
    for length in lengths:
        pieces += cutter.cut(ramp(begin, length))
        begin += length
    assert len(pieces) == begin // SIZE
    pieces += cutter.finish()
    assert sound(pieces) == [*range(begin), *[0] * (-begin % SIZE)]
    assert cutter.finish() == []


@pytest.mark.parametrize("rate", [11_025, 16_000, 22_050, 44_100])
def test_another_rate_is_converted_and_keeps_its_duration(rate: int) -> None:
    audio_format = AudioFormat(48_000, 1)
    cutter, pieces, length = Cutter(audio_format), list[bytes](), rate // 50
    for number in range(50):  # a second
        phase = 2 * np.pi * 400 * (np.arange(length) + number * length) / rate
        tone = (8_000 * np.sin(phase)).astype(np.int16)[:, None]
        pieces += cutter.cut(AudioFrame(tone, rate))
    heard = np.frombuffer(b"".join(pieces + cutter.finish()), np.int16)
    assert abs(len(heard) - 48_000 * 50 * length / rate) <= 480
    spectrum = np.abs(np.fft.rfft(heard[4_800:43_200].astype(float)))
    assert np.argmax(spectrum) * 48_000 / 38_400 == pytest.approx(400, abs=2)
    assert np.abs(heard).max() == pytest.approx(8_000, rel=0.05)


def test_a_rate_that_comes_and_goes_is_no_failure() -> None:
    cutter = Cutter(FORMAT)
    assert len(cutter.cut(ramp(0, SIZE))) == 1
    cutter.cut(AudioFrame(np.zeros((320, 2), np.int16), 16_000))
    assert len(cutter.cut(ramp(0, 2 * SIZE))) >= 2


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros((SIZE, 1), np.int16), 8_000),
        (np.zeros((8_001, 2), np.int16), 8_000),
        (np.zeros((1, 2), np.int16), 1),
        (np.zeros((1, 2), np.int16), 2**70),
    ],
)
def test_what_cannot_be_helped_is_a_typed_error(samples: np.ndarray, rate: int) -> None:
    with pytest.raises(UTDStreamException, match="cannot be sent as") as caught:
        Cutter(FORMAT).cut(AudioFrame(samples, rate))
    assert caught.value.code is UTDErrorCode.VALIDATION
