"""A video file as a source: its pictures, its pace, its rotation, and what is said of a bad one."""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.video.eager import EagerClock
from tests.video.films import film, turn
from utd_rx.audio import speech_path
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.video import VideoFormat, VideoFrame
from utd_rx.video import VideoFileSource, read_counter


@pytest.fixture
def short(tmp_path: Path) -> Path:
    return film(tmp_path / "short.mp4", 6)


async def shown(source: VideoFileSource, count: int | None = None) -> list[VideoFrame]:
    """So many of its frames, or all."""
    frames: list[VideoFrame] = []
    enough = asyncio.Event()

    def take(frame: VideoFrame) -> None:
        frames.append(frame)
        if len(frames) == count:
            enough.set()

    stream = await source.open(take)
    try:
        async with asyncio.timeout(20):
            await (stream.wait_ended() if count is None else enough.wait())
    finally:
        await stream.aclose()
    return frames[:count]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
async def test_its_pictures_come_in_its_own_pace(tmp_path: Path, name: str) -> None:
    source = VideoFileSource(film(tmp_path / name, 8, fps=10), clock=EagerClock())
    assert source.format == VideoFormat(320, 180, 10)
    assert source.duration == pytest.approx(0.8)
    frames = await shown(source)
    assert [read_counter(frame) for frame in frames] == list(range(8))
    moments = [frame.timestamp - 1000 for frame in frames]
    assert moments == pytest.approx([number / 10 for number in range(8)])


async def test_a_loop_begins_again_without_a_gap(short: Path) -> None:
    frames = await shown(VideoFileSource(short, loop=True, clock=EagerClock()), 14)
    assert [read_counter(frame) for frame in frames] == [*range(6), *range(6), 0, 1]
    assert np.diff([frame.timestamp for frame in frames]) == pytest.approx(0.04)


async def test_it_is_turned_as_the_file_says(short: Path) -> None:
    turn(short)
    (frame,) = await shown(VideoFileSource(short, clock=EagerClock()), 1)
    assert (frame.width, frame.height, frame.rotation) == (320, 180, 90)
    assert frame.upright.shape == (320, 180, 3)


async def test_a_picture_too_large_to_be_sent_is_made_smaller(tmp_path: Path) -> None:
    path = tmp_path / "large.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 8_000, 400, "yuv420p"
        grey = np.full((400, 8_000, 3), 128, np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())
    source = VideoFileSource(path, clock=EagerClock())
    (frame,) = await shown(source)
    assert (frame.width, frame.height) == (source.format.width, source.format.height) == (4096, 205)


async def test_it_is_a_small_value_that_works_where_it_is_sent(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(short.parent)
    source = VideoFileSource("short.mp4")
    monkeypatch.chdir("/")
    words = pickle.dumps(source)
    assert len(words) < 1_000
    assert pickle.loads(words) == source
    assert read_counter((await shown(source, 1))[0]) == 0


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("missing", r"gone\.mp4 cannot be read: No such file"),
        ("text", "cannot be read: Invalid data"),
        ("sound", "holds no video"),
        ("folder", "cannot be read: Is a directory"),
    ],
)
def test_what_is_no_video_is_refused_where_it_is_written(
    what: str, told: str, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    path = {
        "missing": tmp_path / "gone.mp4", "text": tmp_path / "text.mp4",
        "sound": speech_path(), "folder": tmp_path,
    }[what]  # fmt: skip
    with pytest.raises(UTDStreamException, match=told) as raised:
        VideoFileSource(path)
    assert raised.value.code is UTDErrorCode.VALIDATION


def test_what_is_no_path_is_refused() -> None:
    wrong: Any = 7
    with pytest.raises(UTDStreamException, match="must be str or Path, not int"):
        VideoFileSource(wrong)


async def test_a_file_that_is_gone_when_it_is_opened_ends_the_stream(short: Path) -> None:
    source = VideoFileSource(short)
    await asyncio.to_thread(short.unlink)
    with pytest.raises(UTDStreamException, match="cannot be read") as raised:
        await shown(source)
    assert raised.value.code is UTDErrorCode.VALIDATION


async def test_a_file_that_is_cut_off_shows_what_there_is(tmp_path: Path) -> None:
    path = film(tmp_path / "cut.mkv", 30)
    os.truncate(path, path.stat().st_size * 2 // 3)
    frames = await shown(VideoFileSource(path, clock=EagerClock()))
    seen = [read_counter(frame) for frame in frames]
    assert seen == list(range(len(seen)))
    assert 5 < len(seen) < 30


def test_without_pyav_it_says_what_installs_it(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UTDStreamException, match=r"pip install 'utd-rx\[camera\]'") as raised:
        VideoFileSource(short)
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED
