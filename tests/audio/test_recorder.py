"""What is recorded is what came; a stream never suffers from its recorder."""

from __future__ import annotations

import logging
import resource
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reactivex
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from reactivex.subject import Subject

from tests.models.frames import unchecked
from utd_rx.audio import WavRecorder, read_wav
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples

FULL = Path("/dev/full")


def frame_of(value: int, *, rate: int = 48_000, channels: int = 1, at: float = 0.0) -> AudioFrame:
    return AudioFrame(np.full((rate // 100, channels), value, dtype=np.int16), rate, at)


@given(
    st.lists(npst.arrays(np.int16, st.tuples(st.integers(0, 600), st.just(2))), max_size=8),
    st.sampled_from([8_000, 48_000]),
)
def test_the_file_holds_every_sample(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[Samples], rate: int
) -> None:
    path = tmp_path_factory.mktemp("rec") / "x.wav"
    with WavRecorder(path) as recorder:
        for piece in pieces:
            recorder.write(AudioFrame(piece, rate))
    with wave.open(str(path)) as file:
        data = file.readframes(file.getnframes())
        assert data == b"".join(piece.tobytes() for piece in pieces)
        if pieces:
            assert file.getparams()[:3] == (2, 2, rate)
    assert recorder.duration == sum(map(len, pieces)) / rate


def test_it_knows_when_the_sound_began(tmp_path: Path) -> None:
    with WavRecorder(tmp_path / "x.wav") as recorder:
        assert (recorder.format, recorder.started_at, recorder.duration) == (None, None, 0.0)
        recorder.write(frame_of(1, at=12.5))
        recorder.write(frame_of(2, at=12.6))
        assert recorder.format == AudioFormat(48_000, 1)
        assert recorder.started_at == 12.5
        assert recorder.duration == pytest.approx(0.02)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(480, np.int16),
        np.zeros((480, 8), np.int16),
        np.ones((480, 1), np.float32),
        np.full((480, 1), 2**30, np.int32),
        [[0]] * 480,
        None,
    ],
)
@pytest.mark.parametrize("rate", [48_000, 48_000.0, None])
def test_what_is_no_frame_is_refused_and_does_no_harm(
    tmp_path: Path, samples: Any, rate: Any
) -> None:
    frame = unchecked(samples, rate)
    with WavRecorder(tmp_path / "x.wav") as recorder:
        with pytest.raises(UTDStreamException) as caught:
            recorder.write(frame)
        assert caught.value.code is UTDErrorCode.VALIDATION
        recorder.write(frame_of(1))
        recorder.on_next(frame)
        assert recorder.failure is not None
        assert (recorder.dropped_frames, recorder.duration) == (1, 0.01)


@pytest.mark.parametrize(
    "thing",
    [None, 7, unchecked(np.zeros((480, 1), np.int16), 48_000.0)],
)
def test_a_sink_never_raises_whatever_it_is_handed(tmp_path: Path, thing: Any) -> None:
    """A rate that is a float was a `struct.error` while the header was written."""
    recorder = WavRecorder(tmp_path / "x.wav")
    recorder(thing)
    assert isinstance(recorder.failure, UTDStreamException)
    assert recorder.failure.code is UTDErrorCode.VALIDATION
    recorder.on_error(ValueError("broken"))
    recorder.on_completed()
    assert (recorder.dropped_frames, recorder.is_closed) == (1, True)


def test_a_recording_without_a_frame_is_a_valid_empty_file(tmp_path: Path) -> None:
    WavRecorder(tmp_path / "x.wav").close()
    with wave.open(str(tmp_path / "x.wav")) as file:
        assert file.getnframes() == 0


def test_a_recording_that_a_crash_cuts_off_can_be_played(tmp_path: Path) -> None:
    recorder = WavRecorder(tmp_path / "x.wav")
    for value in range(250):
        recorder.write(frame_of(value))
    assert len(read_wav(tmp_path / "x.wav")[1]) == 2 * 48_000
    recorder.close()
    assert len(read_wav(tmp_path / "x.wav")[1]) == 2.5 * 48_000


def test_write_refuses_another_format_and_goes_on_with_the_first(tmp_path: Path) -> None:
    with WavRecorder(tmp_path / "x.wav") as recorder:
        recorder.write(frame_of(1))
        for other in (frame_of(1, rate=16_000), frame_of(1, channels=2)):
            with pytest.raises(UTDStreamException, match="another file") as caught:
                recorder.write(other)
            assert caught.value.code is UTDErrorCode.VALIDATION
        recorder.write(frame_of(2))
    assert recorder.duration == pytest.approx(0.02)
    assert recorder.failure is None


def test_write_after_close_raises_and_close_is_idempotent(tmp_path: Path) -> None:
    recorder = WavRecorder(tmp_path / "x.wav")
    recorder.close()
    recorder.close()
    assert recorder.is_closed
    with pytest.raises(UTDStreamException) as caught:
        recorder.write(frame_of(1))
    assert caught.value.reason is ConflictReason.CLOSED


def test_a_sink_keeps_its_first_failure_and_counts_what_it_drops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = WavRecorder(tmp_path / "x.wav")
    sink: FrameSink = recorder
    with caplog.at_level(logging.ERROR, "utd_rx.audio.recorder"):
        for frame in (frame_of(1), frame_of(2, rate=16_000), frame_of(3), frame_of(4)):
            sink(frame)
    assert isinstance(recorder.failure, UTDStreamException)
    assert recorder.dropped_frames == 3
    assert len(caplog.records) == 1
    recorder.close()
    assert np.all(read_wav(recorder.path)[1] == 1)


def test_frames_that_come_late_are_dropped_without_a_failure(tmp_path: Path) -> None:
    recorder = WavRecorder(tmp_path / "x.wav")
    recorder.close()
    recorder(frame_of(1))
    assert (recorder.dropped_frames, recorder.failure) == (1, None)


def test_it_stops_before_its_limit(tmp_path: Path) -> None:
    recorder = WavRecorder(tmp_path / "x.wav", max_bytes=2500)
    for value in range(4):
        recorder(frame_of(value))
    assert recorder.dropped_frames == 2
    assert "2500 bytes" in str(recorder.failure)
    recorder.close()
    assert len(read_wav(recorder.path)[1]) == 2 * 480


def test_it_observes_an_observable(tmp_path: Path) -> None:
    recorder = WavRecorder(tmp_path / "x.wav")
    reactivex.of(frame_of(1), frame_of(2)).subscribe(recorder)
    assert recorder.is_closed
    assert read_wav(recorder.path)[1][:, 0].tolist() == [1] * 480 + [2] * 480


def test_a_stream_that_fails_closes_the_file(tmp_path: Path) -> None:
    recorder, frames = WavRecorder(tmp_path / "x.wav"), Subject[AudioFrame]()
    frames.subscribe(recorder)
    frames.on_next(frame_of(1))
    frames.on_error(ValueError("broken"))
    assert recorder.is_closed
    assert isinstance(recorder.failure, ValueError)
    assert len(read_wav(recorder.path)[1]) == 480


def test_any_thread_may_write(tmp_path: Path) -> None:
    with WavRecorder(tmp_path / "x.wav") as recorder:
        threads = [
            threading.Thread(target=lambda n=n: [recorder(frame_of(n)) for _ in range(150)])
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    whole = read_wav(recorder.path)[1].reshape(-1, 480)
    assert np.all(whole == whole[:, :1])
    assert np.bincount(whole[:, 0]).tolist() == [150] * 4


@pytest.mark.parametrize("name", ["missing/x.wav", "", "a\0b"])
def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(UTDStreamException, match="cannot be written") as caught:
        WavRecorder(tmp_path / name)
    assert caught.value.code is UTDErrorCode.VALIDATION


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_a_failure_of_the_recorder_and_not_of_the_stream() -> None:
    recorder = WavRecorder(FULL)
    for value in range(200):
        recorder(frame_of(value))
    assert "No space left" in str(recorder.failure)
    assert recorder.dropped_frames > 0
    with pytest.raises(UTDStreamException, match="No space left"):
        recorder.close()
    recorder.close()


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let no file grow beyond `size`, as a disk that is full does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [262_145, 40, 44, 150_000, 288_043])
def test_on_a_full_disk_it_says_what_is_there_and_counts_what_is_not(
    tmp_path: Path, size: int
) -> None:
    recorder = WavRecorder(tmp_path / "x.wav")
    with disk_of(size):
        reactivex.from_iterable(frame_of(value) for value in range(300)).subscribe(recorder)
    assert recorder.is_closed
    assert isinstance(recorder.failure, UTDStreamException)
    assert recorder.failure.code is UTDErrorCode.VALIDATION
    there = max(0, size - 44) // 2
    if there:
        assert len(read_wav(recorder.path)[1]) == there, "all that there was room for can be played"
    assert recorder.duration == there / 48_000
    assert recorder.dropped_frames == 300 - there // 480


def test_once_there_is_room_again_it_goes_on_where_the_disk_ended(tmp_path: Path) -> None:
    with WavRecorder(tmp_path / "x.wav") as recorder:
        with (
            disk_of(44 + 960 * 50 + 7),
            pytest.raises(UTDStreamException, match="cannot be written"),
        ):
            for _ in range(100):
                recorder.write(frame_of(1))
        assert (recorder.duration, recorder.dropped_frames) == (0.5 + 3 / 48_000, 19)
        recorder.write(frame_of(2))
    assert [*read_wav(recorder.path)[1][:, 0]] == [1] * 24_003 + [2] * 480


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full, a disk that is always full")
def test_a_disk_that_is_full_at_the_end_is_kept_as_failure_by_an_observer() -> None:
    recorder = WavRecorder(FULL)
    reactivex.of(frame_of(1)).subscribe(recorder)
    assert "No space left" in str(recorder.failure)
