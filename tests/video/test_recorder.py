"""What is recorded can be played, in step; a stream never suffers from its recorder."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import reactivex

from tests.models.frames import unchecked
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.models.video import Pixels, VideoFrame
from utd_rx.video import TestPattern, VideoFileSource, VideoRecorder, muxer, read_counter, recorder

PATTERN = TestPattern(320, 180)
BEGAN = 500.0


def picture(number: int, at: float | None = None) -> VideoFrame:
    return VideoFrame(PATTERN.picture(number), BEGAN + (number / 25 if at is None else at))


def sound(at: float, value: int = 0, *, rate: int = 48_000, channels: int = 1) -> AudioFrame:
    return AudioFrame(np.full((rate // 100, channels), value, np.int16), rate, BEGAN + at)


def click(at: float) -> AudioFrame:
    """10 ms of a tone that nobody misses."""
    wave = 12_000 * np.sin(2 * np.pi * 1_000 * np.arange(480) / 48_000)
    return AudioFrame(wave.astype(np.int16)[:, np.newaxis], 48_000, BEGAN + at)


class Film:
    """What a file holds, by FFmpeg."""

    def __init__(self, path: Path) -> None:
        self.numbers: list[int | None] = []
        self.moments: list[float] = []
        self.pictures: list[Pixels] = []
        levels: list[np.ndarray[Any, Any]] = []
        with av.open(str(path)) as container:
            self.kinds = [stream.type for stream in container.streams]
            for frame in container.decode():
                if isinstance(frame, av.VideoFrame):
                    shown: Any = frame.to_ndarray(format="rgb24")
                    self.pictures.append(shown)
                    self.numbers.append(read_counter(shown))
                    self.moments.append(float(frame.time or 0.0))
                else:
                    levels.append(np.abs(frame.to_ndarray()).max(axis=0))
        self.level = np.concatenate(levels) if levels else np.zeros(0)

    @property
    def seconds_of_sound(self) -> float:
        return len(self.level) / 48_000

    @property
    def loud(self) -> list[float]:
        """When it begins to be loud."""
        loud = np.flatnonzero(self.level > 0.1) / 48_000
        return [
            float(at) for at, before in zip(loud, [-1, *loud], strict=False) if at > before + 0.1
        ]


@pytest.mark.parametrize("name", ["a.mp4", "b.mkv", "C.MP4"])
def test_pictures_and_sound_are_in_the_file_and_in_step(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with VideoRecorder(path) as made:
        for number in range(50):
            made.write(picture(number))
            for part in range(4):
                at = number / 25 + part / 100
                made.write(click(at) if number in (10, 40) and part == 0 else sound(at))
    assert (made.dropped_frames, made.failure, made.is_closed) == (0, None, True)
    film = Film(path)
    assert film.kinds == ["video", "audio"]
    assert film.numbers == list(range(50))
    assert film.moments == pytest.approx([number / 25 for number in range(50)], abs=0.001)
    assert film.seconds_of_sound == pytest.approx(2.0, abs=0.05)
    assert film.loud == pytest.approx([0.4, 1.6], abs=0.03)  # as the pictures 10 and 40
    source = VideoFileSource(path)
    assert (source.format.width, source.format.height) == (320, 180)


def test_pictures_come_as_they_like(tmp_path: Path) -> None:
    moments = [0.0, 0.01, 0.5, 0.517, 3.0]
    with VideoRecorder(tmp_path / "a.mp4") as made:
        for number, at in enumerate(moments):
            made.write(picture(number, at))
        made.write(picture(9, 2.0))  # too late
    film = Film(tmp_path / "a.mp4")
    assert film.numbers == [0, 1, 2, 3, 4]
    assert film.moments == pytest.approx(moments, abs=0.001)
    assert made.dropped_frames == 1


def test_moments_may_be_counted_from_zero(tmp_path: Path) -> None:
    with VideoRecorder(tmp_path / "a.mkv") as made:
        for number in range(25):
            made.write(VideoFrame(PATTERN.picture(number), number / 25))
        for frame in range(100):
            wave = (click if frame == 40 else sound)(0.0).samples
            made.write(AudioFrame(wave, 48_000, frame / 100))
    film = Film(tmp_path / "a.mkv")
    assert (made.dropped_frames, film.numbers) == (0, list(range(25)))
    assert film.moments == pytest.approx([number / 25 for number in range(25)], abs=0.001)
    assert film.loud == pytest.approx([0.4], abs=0.03)


@pytest.mark.parametrize("moment", [float("nan"), float("inf")])
def test_a_moment_that_is_none_is_refused_and_ends_nothing(tmp_path: Path, moment: float) -> None:
    with VideoRecorder(tmp_path / "a.mkv") as made:
        made.write(picture(0))
        with pytest.raises(UTDStreamException, match="timestamp is a number of seconds"):
            made.write(VideoFrame(PATTERN.picture(1), moment))
        made.write(picture(2))
    assert Film(tmp_path / "a.mkv").numbers == [0, 2]


def test_a_file_is_kept_when_what_is_asked_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(b"kept")
    with pytest.raises(UTDStreamException):
        VideoRecorder(path, size=(1, 1))
    assert path.read_bytes() == b"kept"


def test_where_sound_paused_there_is_silence_and_of_two_voices_one(tmp_path: Path) -> None:
    with VideoRecorder(tmp_path / "a.mkv") as made:
        made.write(picture(0))
        for frame in range(20):
            made.write(sound(frame / 100))
        for frame in range(50):  # after 3.8 s of nothing
            made.write(click(4 + frame / 100))
            made.write(sound(4 + frame / 100))
    film = Film(tmp_path / "a.mkv")
    assert film.loud[0] == pytest.approx(4.0, abs=0.03)
    assert film.seconds_of_sound == pytest.approx(4.5, abs=0.15)
    assert made.dropped_frames > 30


def test_sound_that_comes_a_little_early_or_late_is_left_as_it_is(tmp_path: Path) -> None:
    jitter = np.random.RandomState(1).uniform(-0.04, 0.04, 200)
    with VideoRecorder(tmp_path / "a.mkv") as made:
        made.write(picture(0))
        for frame in range(200):
            made.write(click(frame / 100 + float(jitter[frame])))
    film = Film(tmp_path / "a.mkv")
    assert made.dropped_frames == 0
    assert film.seconds_of_sound == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("drift", [1.01, 0.99])
def test_a_sound_cards_clock_that_is_off_does_not_pull_them_apart(
    tmp_path: Path, drift: float
) -> None:
    count = 3_000
    with VideoRecorder(tmp_path / "a.mkv") as made:
        made.write(picture(0))
        for frame in range(count):
            made.write(sound(frame / 100 * drift))
    film = Film(tmp_path / "a.mkv")
    assert film.seconds_of_sound == pytest.approx(count / 100 * drift, abs=0.15)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (48_000, 2)])
def test_sound_of_any_format_is_taken(tmp_path: Path, rate: int, channels: int) -> None:
    with VideoRecorder(tmp_path / "a.mp4") as made:
        made.write(picture(0))
        for frame in range(100):
            made.write(sound(frame / 100, 8_000, rate=rate, channels=channels))
        for frame in range(100, 150):  # and another one on the way
            made.write(sound(frame / 100, 8_000))
    film = Film(tmp_path / "a.mp4")
    assert made.failure is None
    assert film.seconds_of_sound == pytest.approx(1.5, abs=0.05)
    assert (film.level[4_800:60_000] > 0.1).all()


def test_sound_that_comes_first_waits_for_a_picture(tmp_path: Path) -> None:
    with VideoRecorder(tmp_path / "a.mp4") as made:
        made.write(click(0.0))
        made.write(picture(7, 1.0))
    film = Film(tmp_path / "a.mp4")
    assert film.numbers == [7]
    assert film.moments == pytest.approx([1.0], abs=0.001)
    assert film.loud == pytest.approx([0.0], abs=0.03)


def test_sound_does_not_wait_for_ever(tmp_path: Path) -> None:
    with VideoRecorder(tmp_path / "a.mp4") as made:
        for second in range(15):
            made.write(sound(second))
        made.write(picture(7, 15.0))
    film = Film(tmp_path / "a.mp4")
    assert film.moments == pytest.approx([15.0 - 4.0], abs=0.001)
    assert made.dropped_frames == 4


def test_sound_alone_is_a_file_of_sound_and_nothing_an_empty_one(tmp_path: Path) -> None:
    with VideoRecorder(tmp_path / "a.mp4") as made:
        for frame in range(100):
            made.write(click(frame / 100))
    film = Film(tmp_path / "a.mp4")
    assert film.kinds == ["audio"]
    assert film.seconds_of_sound == pytest.approx(1.0, abs=0.05)
    VideoRecorder(tmp_path / "b.mkv").close()
    assert (tmp_path / "b.mkv").stat().st_size == 0


def test_a_picture_of_another_size_is_shown_whole_in_the_files(tmp_path: Path) -> None:
    white = np.full((360, 200, 3), 255, np.uint8)
    with VideoRecorder(tmp_path / "a.mkv") as made:
        made.write(picture(3, 0.0))
        made.write(VideoFrame(white, BEGAN + 1))
        made.write(VideoFrame(white, BEGAN + 2, rotation=90))
    film = Film(tmp_path / "a.mkv")
    assert [one.shape for one in film.pictures] == [(180, 320, 3)] * 3
    across = [one[90].mean(axis=1) > 128 for one in film.pictures[1:]]
    assert across[0].sum() == pytest.approx(100, abs=4)  # 360 high becomes 180
    assert across[0][110:210].all()
    assert across[1].all()


@pytest.mark.parametrize(("made_of", "size"), [((321, 181), None), ((640, 360), (160, 90))])
def test_the_files_size_is_the_first_pictures_or_the_given_one(
    tmp_path: Path, made_of: tuple[int, int], size: tuple[int, int] | None
) -> None:
    with VideoRecorder(tmp_path / "a.mkv", size=size) as made:
        made.write(VideoFrame(TestPattern(*made_of).picture(5), BEGAN))
    (shown,) = Film(tmp_path / "a.mkv").pictures
    assert shown.shape[:2] == ((90, 160) if size else (180, 320))
    assert read_counter(shown) == 5


def test_frames_without_a_moment_are_of_now(tmp_path: Path) -> None:
    with VideoRecorder(tmp_path / "a.mkv") as made:
        for number in range(3):
            made.write(VideoFrame(PATTERN.picture(number)))
        made.write(AudioFrame(np.zeros((480, 1), np.int16), 48_000))
    film = Film(tmp_path / "a.mkv")
    assert film.numbers == [0, 1, 2]
    assert film.moments == sorted(film.moments)
    assert film.moments[-1] < 60


def test_two_streams_are_recorded_and_the_end_of_one_ends_nothing(tmp_path: Path) -> None:
    with VideoRecorder(tmp_path / "a.mkv") as made:
        reactivex.from_iterable([sound(0.0), sound(0.01)]).subscribe(made)
        reactivex.from_iterable([picture(0), picture(1)]).subscribe(made)
        reactivex.throw(OSError("torn")).subscribe(made)
        made(picture(2))
    assert Film(tmp_path / "a.mkv").numbers == [0, 1, 2]
    assert isinstance(made.failure, OSError)


@pytest.mark.parametrize(
    "wrong", [None, 7, "frame", np.zeros((9, 9, 3)), unchecked(np.zeros((480, 7)), 48_000)]
)
def test_a_sink_never_raises_whatever_it_is_handed(tmp_path: Path, wrong: Any) -> None:
    with VideoRecorder(tmp_path / "a.mkv") as made:
        with pytest.raises(UTDStreamException) as raised:
            made.write(wrong)
        assert raised.value.code is UTDErrorCode.VALIDATION
        made(wrong)
        made(picture(0))
    assert made.dropped_frames == 1
    assert isinstance(made.failure, UTDStreamException)
    assert Film(tmp_path / "a.mkv").numbers == [0]


def test_what_is_too_much_at_once_is_left_out_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MAX_SOUND", 20)
    gate, at_it = threading.Event(), threading.Event()
    add = muxer.Muxer.add_picture

    def slow(self: muxer.Muxer, frame: VideoFrame) -> None:
        at_it.set()
        gate.wait(10)
        add(self, frame)

    monkeypatch.setattr(muxer.Muxer, "add_picture", slow)
    with VideoRecorder(tmp_path / "a.mkv") as made:
        made(picture(0))
        at_it.wait(10)
        for number in range(1, 40):
            made(picture(number))
            made(sound(number / 25))
        assert made.dropped_frames == (39 - recorder.MAX_PICTURES) + (39 - 20)
        gate.set()
    assert made.failure is None
    assert Film(tmp_path / "a.mkv").numbers == list(range(1 + recorder.MAX_PICTURES))


def test_who_writes_waits_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MAX_PICTURES", 1)
    with VideoRecorder(tmp_path / "a.mkv") as made:
        for number in range(20):
            made.write(picture(number))
    assert Film(tmp_path / "a.mkv").numbers == list(range(20))
    assert made.dropped_frames == 0


def test_after_it_is_closed_it_takes_nothing(tmp_path: Path) -> None:
    made = VideoRecorder(tmp_path / "a.mkv")
    made.write(picture(0))
    made.close()
    made.close()
    with pytest.raises(UTDStreamException) as raised:
        made.write(picture(1))
    assert raised.value.reason is ConflictReason.CLOSED
    made(picture(1))
    assert (made.dropped_frames, made.failure) == (1, None)


async def test_it_closes_without_blocking(tmp_path: Path) -> None:
    async with VideoRecorder(tmp_path / "a.mkv") as made:
        made(picture(0))
    assert made.is_closed
    assert Film(tmp_path / "a.mkv").numbers == [0]


def test_many_threads_may_write(tmp_path: Path) -> None:
    with VideoRecorder(tmp_path / "a.mkv") as made:
        made.write(picture(0))
        threads = [
            threading.Thread(target=lambda: [made(sound(0.0)) for _ in range(100)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert made.failure is None
    assert Film(tmp_path / "a.mkv").numbers == [0]


def test_a_disk_that_refuses_is_told_once_and_disturbs_no_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: muxer.Muxer, frame: VideoFrame) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(muxer.Muxer, "add_picture", full)
    made = VideoRecorder(tmp_path / "a.mkv")
    for number in range(5):
        made(picture(number))
    with pytest.raises(UTDStreamException, match="No space left on device") as raised:
        made.close()
    made.close()
    assert raised.value.code is UTDErrorCode.VALIDATION
    assert made.failure is raised.value
    assert made.dropped_frames == 5
    with pytest.raises(UTDStreamException, match="is closed"):
        made.write(picture(9))
    assert len(caplog.records) == 1


def test_without_pyav_it_says_what_installs_it_and_makes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UTDStreamException, match=r"pip install 'utd-rx\[camera\]'") as raised:
        VideoRecorder(tmp_path / "a.mp4")
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "told"),
    [("a.avi", "to a .mp4 or .mkv file"), ("a", "to a .mp4"), (7, "not to 7"),
     ("gone/a.mp4", "cannot be written: No such file"), ("\0.mp4", "embedded null")],
)  # fmt: skip
def test_a_file_that_cannot_be_made_is_refused(tmp_path: Path, name: Any, told: str) -> None:
    path = tmp_path / name if isinstance(name, str) else name
    with pytest.raises(UTDStreamException, match=told) as raised:
        VideoRecorder(path)
    assert raised.value.code is UTDErrorCode.VALIDATION
