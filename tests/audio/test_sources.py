"""Files, arrays and tones are values; opened, they deliver every sample once, in 10 ms frames."""

from __future__ import annotations

import asyncio
import pickle
import sys
import threading
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tests.audio.virtual_clock import VirtualClock
from utd_rx.audio import (
    ArraySource,
    ToneSource,
    WavSource,
    level_dbfs,
    read_wav,
    sources,
    speech_path,
)
from utd_rx.audio.wav import wav_header
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInput, Samples
from utd_rx.ports.clock import SYSTEM_CLOCK

RATES = (8_000, 11_100, 44_100, 48_000)


async def delivered(source: AudioInput, clock: VirtualClock, seconds: float) -> list[AudioFrame]:
    frames: list[AudioFrame] = []
    stream = await source.open(frames.append)
    await clock.advance(seconds)
    await stream.aclose()
    return frames


def joined(frames: list[AudioFrame]) -> Samples:
    return np.concatenate([frame.samples for frame in frames])


def write(path: Path, samples: Samples, rate: int = 48_000) -> Path:
    header = wav_header(AudioFormat(rate, samples.shape[1]), samples.nbytes)
    path.write_bytes(header + samples.tobytes())
    return path


shapes = st.tuples(st.integers(1, 3000), st.sampled_from([1, 2]))


@given(npst.arrays(np.int16, shapes), st.sampled_from(RATES), st.booleans())
async def test_every_sample_is_delivered_once_and_the_last_frame_is_filled_with_silence(
    tmp_path_factory: pytest.TempPathFactory, samples: Samples, rate: int, is_file: bool
) -> None:
    clock = VirtualClock()
    source: ArraySource | WavSource = ArraySource(samples, rate, clock=clock)
    if is_file:
        path = write(tmp_path_factory.mktemp("wav") / "x.wav", samples, rate)
        source = WavSource(path, clock=clock)
    assert source.format == AudioFormat(rate, samples.shape[1])
    assert source.duration == len(samples) / rate
    frames = await delivered(source, clock, 1.0)
    size = rate // 100
    assert len(frames) == -(-len(samples) // size)
    for frame in frames:
        assert frame.samples.shape == (size, samples.shape[1])
        assert frame.samples.dtype == np.int16
        assert not frame.samples.flags.writeable
        assert frame.format == source.format
    sound = joined(frames)
    assert np.array_equal(sound[: len(samples)], samples)
    assert not sound[len(samples) :].any()


@given(npst.arrays(np.int16, shapes), st.sampled_from(RATES))
async def test_a_loop_has_no_gap(samples: Samples, rate: int) -> None:
    clock = VirtualClock()
    frames = await delivered(ArraySource(samples, rate, True, clock=clock), clock, 0.2)
    sound = joined(frames)
    assert len(frames) == 21
    assert np.array_equal(sound, samples[np.arange(len(sound)) % len(samples)])
    assert not any(frame.samples.flags.writeable for frame in frames)


async def test_a_file_can_be_looped(tmp_path: Path) -> None:
    clock, samples = VirtualClock(), np.arange(700, dtype=np.int16)[:, np.newaxis]
    source = WavSource(write(tmp_path / "x.wav", samples), loop=True, clock=clock)
    frames = await delivered(source, clock, 0.05)
    assert np.array_equal(joined(frames)[:, 0], np.arange(480 * 6) % 700)


@given(
    st.floats(20.0, 3900.0),
    st.floats(-60.0, 0.0),
    st.sampled_from(RATES),
    st.sampled_from([1, 2]),
)
async def test_a_tone_has_its_frequency_and_level_and_no_seams(
    frequency: float, level: float, rate: int, channels: int
) -> None:
    clock, format_ = VirtualClock(), AudioFormat(rate, channels)
    source = ToneSource(frequency, level_dbfs=level, format=format_, clock=clock)
    sound = joined(await delivered(source, clock, 0.5))
    expected = (
        32_768 * 10 ** (level / 20) * np.sin(2 * np.pi * frequency * np.arange(len(sound)) / rate)
    )
    assert np.all(np.abs(sound - expected[:, np.newaxis]) <= 1.01)
    assert level_dbfs(sound) == pytest.approx(level, abs=0.3)


async def test_a_tones_level_is_what_the_meter_shows() -> None:
    clock = VirtualClock()
    frames = await delivered(ToneSource(clock=clock), clock, 0.99)
    assert level_dbfs(joined(frames)) == pytest.approx(-12.0, abs=0.01)


@given(st.integers(1, 4000))
async def test_a_tone_of_some_length_ends_in_silence(count: int) -> None:
    clock = VirtualClock()
    source = ToneSource(1000.0, duration=count / 48_000, clock=clock)
    sound = joined(await delivered(source, clock, 1.0))[:, 0]
    assert len(sound) == -(-count // 480) * 480
    assert not sound[count:].any()
    assert np.count_nonzero(sound[:count]) >= count * 0.9 - 1


async def test_a_tone_keeps_its_precision_for_days() -> None:
    clock, frames = VirtualClock(), list[AudioFrame]()
    stream = await ToneSource(1000.0, clock=clock).open(frames.append)
    await clock.stall(30 * 86_400.0)
    await stream.aclose()
    assert np.all(np.abs(frames[-1].samples.astype(int) - frames[0].samples) <= 1)


@given(npst.arrays(np.float64, 50, elements=st.floats(-2, 2)))
def test_arrays_of_floats_have_full_scale_one(values: npt.NDArray[np.float64]) -> None:
    source = ArraySource(values, 48_000)
    expected = np.clip(values * 32_768, -32_768, 32_767)
    assert np.all(np.abs(source.samples[:, 0] - expected) <= 0.5)


def ramp(dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return the same sound in whichever type, full scale and the middle among it."""
    unit, kind = np.array([-1.0, -0.5, -(2**-7), 0.0, 0.5, 1.0]), np.dtype(dtype)
    if kind.kind == "f":
        return unit.astype(kind)
    scale = 2.0 ** (8 * kind.itemsize - 1)
    centre = scale if kind.kind == "u" else 0.0
    return np.minimum(unit * scale + centre, 2 * scale - 1 if centre else scale - 1).astype(kind)


@pytest.mark.parametrize(
    "dtype",
    ["f2", ">f2", "f4", ">f4", "f8", ">f8", "longdouble", "i1", "u1", "i2", ">i2", "i4", ">i4"],
)
def test_arrays_of_any_type_have_the_same_sound(dtype: str) -> None:
    """Half floats turned full scale into the other end of the range: 32,768 does not fit them."""
    source = ArraySource(ramp(dtype), 48_000)
    expected = np.array([-32_768, -16_384, -256, 0, 16_384, 32_767])
    assert source.samples.dtype == np.dtype(np.int16)
    assert np.all(np.abs(source.samples[:, 0] - expected) <= (255 if "1" in dtype else 1))
    assert level_dbfs(ramp(dtype)) == pytest.approx(level_dbfs(expected.astype(np.int16)), abs=0.05)


def tone(rate: int, seconds: float = 1.0) -> Samples:
    """Return 400 Hz, whole periods of it."""
    wave = np.sin(2 * np.pi * 400 * np.arange(round(rate * seconds)) / rate)
    sound: Samples = np.rint(16_000 * wave).astype(np.int16)[:, np.newaxis]
    return sound


@pytest.mark.parametrize("rate", [11_025, 22_050, 44_056, 384_000])
@pytest.mark.parametrize("is_file", [False, True])
async def test_a_rate_without_whole_frames_is_converted(
    tmp_path: Path, rate: int, is_file: bool
) -> None:
    """22,050 Hz is what many voices of text-to-speech have."""
    clock, sound = VirtualClock(), tone(rate)
    source: ArraySource | WavSource = ArraySource(sound, rate, clock=clock)
    if is_file:
        path = tmp_path / "x.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes(sound.tobytes())
        source = WavSource(path, clock=clock)
        assert read_wav(path)[0] == AudioFormat(48_000)
    assert source.format == AudioFormat(48_000)
    assert source.duration == 1.0
    frames: list[AudioFrame] = []
    stream = await source.open(frames.append)
    await clock.advance(1.0)
    await stream.aclose()
    heard, expected = joined(frames), tone(48_000)
    assert len(frames) == 100
    inner = slice(480, -480)  # an edge of the sound is an edge
    assert np.max(np.abs(heard[inner].astype(int) - expected[inner])) <= 2


@pytest.mark.parametrize("is_file", [False, True])
async def test_a_converted_loop_has_no_gap(tmp_path: Path, is_file: bool) -> None:
    clock, sound = VirtualClock(), tone(22_050, 0.1)
    source: ArraySource | WavSource = ArraySource(sound, 22_050, True, clock=clock)
    if is_file:
        path = tmp_path / "x.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 22_050, 0, "NONE", ""))
            file.writeframes(sound.tobytes())
        source = WavSource(path, loop=True, clock=clock)
    frames: list[AudioFrame] = []
    stream = await source.open(frames.append)
    await clock.advance(0.5)
    await stream.aclose()
    heard = joined(frames)
    assert np.max(np.abs(heard.astype(int) - tone(48_000, 0.51)[: len(heard)])) <= 2


def test_without_soxr_a_rate_is_refused_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    assert ArraySource(np.zeros(9, np.int16), 44_100).format == AudioFormat(44_100)
    with pytest.raises(UTDStreamException, match=r"utd-rx\[audio\]") as caught:
        ArraySource(np.zeros(9, np.int16), 22_050)
    assert caught.value.code is UTDErrorCode.FEATURE_DISABLED


def test_an_array_is_copied() -> None:
    samples = np.ones(480, dtype=np.int16)
    source = ArraySource(samples, 48_000)
    samples[:] = 2
    assert np.all(source.samples == 1)
    with pytest.raises(ValueError, match="read-only"):
        source.samples[0] = 3


async def test_sources_cross_a_process_border() -> None:
    sources: list[AudioInput] = [
        WavSource(speech_path(), loop=True),
        ToneSource(1000.0, level_dbfs=-20, duration=1.5),
        ArraySource(np.arange(480, dtype=np.int16), 48_000),
    ]
    for source in sources:
        copy: AudioInput = pickle.loads(pickle.dumps(source))
        assert copy.format == source.format
        assert getattr(copy, "clock", None) == SYSTEM_CLOCK
        frames: list[AudioFrame] = []
        came = asyncio.Event()

        def sink(
            frame: AudioFrame, frames: list[AudioFrame] = frames, came: asyncio.Event = came
        ) -> None:
            frames.append(frame)
            came.set()

        stream = await copy.open(sink)
        await asyncio.wait_for(came.wait(), 10)
        await stream.aclose()
        assert not frames[0].samples.flags.writeable
    assert pickle.loads(pickle.dumps(sources[0])) == sources[0]


def test_sources_are_values() -> None:
    assert WavSource(speech_path()) == WavSource(str(speech_path()), clock=VirtualClock())
    assert hash(ToneSource(440.0)) == hash(ToneSource())
    with pytest.raises(FrozenInstanceError):
        ToneSource().frequency = 1.0  # type: ignore[misc]


def test_a_relative_path_is_resolved_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "x.wav", np.ones((1, 1), dtype=np.int16))
    monkeypatch.chdir(tmp_path)
    assert WavSource("x.wav").path == tmp_path / "x.wav"


async def test_a_file_that_changed_or_went_away_is_refused_when_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "x.wav", np.ones((1, 1), dtype=np.int16))
    source = WavSource(path)
    write(path, np.ones((1, 2), dtype=np.int16))
    with pytest.raises(UTDStreamException, match="has changed"):
        await source.open(lambda frame: None)
    path.unlink()
    with pytest.raises(UTDStreamException, match="No such file"):
        await source.open(lambda frame: None)


async def test_cancelling_open_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frames: list[AudioFrame] = []
    clock, is_cancelled = VirtualClock(), threading.Event()
    source = WavSource(speech_path(), clock=clock)

    def read(*arguments: Any, **named: Any) -> tuple[AudioFormat, Samples]:
        assert is_cancelled.wait(10)
        return read_wav(*arguments, **named)

    monkeypatch.setattr(sources, "read_wav", read)
    opening = asyncio.ensure_future(source.open(frames.append))
    await asyncio.sleep(0)
    opening.cancel()
    is_cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await clock.advance(1.0)
    assert frames == []


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: WavSource("/nowhere/x.wav"), "No such file"),
        (lambda: ArraySource(np.zeros(0, np.int16), 48_000), "samples must be"),
        (lambda: ArraySource(np.zeros((2, 2, 2), np.int16), 48_000), "samples must be"),
        (lambda: ArraySource(np.zeros(9, np.int64), 48_000), "int64"),
        (lambda: ArraySource(np.zeros(9, bool), 48_000), "bool"),
        (lambda: ArraySource(np.zeros(9, complex), 48_000), "complex"),
        (lambda: ArraySource(np.zeros(9, np.int16), 999), "999 Hz"),
        (lambda: ArraySource(np.zeros((1, 48_000), np.int16), 48_000), r"samples\.T"),
        (lambda: ArraySource(np.zeros((2, 3), np.int16), 48_000), r"samples\.T"),
        (lambda: ArraySource(np.zeros((9, 3), np.int16), 48_000), "3 channel"),
        (lambda: ToneSource(0.0), "frequency"),
        (lambda: ToneSource(24_000.0), "frequency"),
        (lambda: ToneSource(float("nan")), "frequency"),
        (lambda: ToneSource(level_dbfs=0.1), "level_dbfs"),
        (lambda: ToneSource(level_dbfs=float("nan")), "level_dbfs"),
        (lambda: ToneSource(duration=0.0), "duration"),
        (lambda: ToneSource(duration=float("inf")), "duration"),
    ],
)
def test_nonsense_is_refused_with_a_reason(make: object, reason: str) -> None:
    assert callable(make)
    with pytest.raises(UTDStreamException, match=reason) as caught:
        make()
    assert caught.value.code is UTDErrorCode.VALIDATION


def test_the_shipped_speech_can_be_read() -> None:
    format_, samples = read_wav(speech_path())
    assert (format_, samples.shape) == (AudioFormat(48_000, 1), (192_000, 1))
