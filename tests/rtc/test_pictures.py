"""Pictures on their way into LiveKit: the newest counts, and nobody waits for a slow one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.rtc.bench import PATIENCE, eventually
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.video import VideoFormat, VideoFrame
from utd_rx.rtc import native
from utd_rx.rtc.pictures import PictureFeeder

FORMAT = VideoFormat(64, 36)


class SlowSource:
    """A native source that takes as long as the test wants; keeps what it was given."""

    def __init__(self, *size: int, is_screencast: bool) -> None:
        self.size, self.is_screencast = size, is_screencast
        self.taken: list[tuple[int, int, bytes, int]] = []
        self.times: list[int] = []
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.is_closed = False

    def capture_frame(self, frame: Any, *, timestamp_us: int, rotation: int) -> None:
        self.threads.add(threading.current_thread().name)
        self.taken.append((*frame, rotation))
        self.times.append(timestamp_us)
        assert self.gate.wait(PATIENCE)
        assert not self.is_closed

    async def aclose(self) -> None:
        self.is_closed = True

    @property
    def values(self) -> list[int]:
        """The first byte of each picture."""
        return [data[0] for _, _, data, _ in self.taken]


def frame(value: int, height: int = 36, width: int = 64, rotation: int = 0) -> VideoFrame:
    return VideoFrame(np.full((height, width, 3), value, np.uint8), rotation=rotation)


class Bench:
    """A feeder over a slow source, and why it failed."""

    def __init__(self) -> None:
        self.failures: list[UTDStreamException] = []
        self.feeder = PictureFeeder(FORMAT, self.failures.append)
        source: Any = self.feeder.source
        self.source: SlowSource = source


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    def make(width: int, height: int, kind: int, data: bytes) -> tuple[int, int, bytes]:
        return width, height, data

    sdk = SimpleNamespace(
        VideoSource=SlowSource, VideoFrame=make, VideoBufferType=SimpleNamespace(RGB24=0)
    )
    monkeypatch.setattr(native, "sdk", lambda: sdk)
    bench = Bench()
    yield bench
    bench.source.gate.set()
    await bench.feeder.aclose()
    assert bench.source.is_closed


async def test_livekit_has_a_picture_before_anybody_can_look(bench: Bench) -> None:
    assert bench.source.values == [0]
    assert bench.source.size == (64, 36)


async def test_what_comes_before_the_start_waits_and_the_newest_goes_first(bench: Bench) -> None:
    for value in (1, 2, 3):
        bench.feeder.put(frame(value))
    await bench.feeder.drain()
    assert bench.source.values == [0]
    bench.feeder.start()
    await bench.feeder.drain()
    assert bench.source.values == [0, 3]
    assert bench.feeder.dropped == 2


async def test_while_one_is_on_its_way_only_the_newest_waits(bench: Bench) -> None:
    bench.feeder.start()
    bench.source.gate.clear()
    bench.feeder.put(frame(1))
    await eventually(lambda: bench.source.values == [0, 1])
    for value in range(2, 100):
        bench.feeder.put(frame(value))  # returns at once, though nothing is taken
    bench.source.gate.set()
    await bench.feeder.drain()
    assert bench.source.values == [0, 1, 99]
    assert bench.feeder.dropped == 97


async def test_frames_of_any_thread_are_captured_on_one_that_is_not_the_loops(
    bench: Bench,
) -> None:
    bench.feeder.start()
    bench.source.threads.clear()
    for value in range(1, 30):
        await asyncio.to_thread(bench.feeder.put, frame(value))
        await bench.feeder.drain()
    assert bench.source.values == list(range(30))
    assert len(bench.source.threads) == 1
    assert threading.current_thread().name not in bench.source.threads
    assert bench.source.times == sorted(bench.source.times)


async def test_size_rotation_and_pixels_are_those_of_the_frame(bench: Bench) -> None:
    bench.feeder.start()
    tall = VideoFrame(np.arange(48 * 20 * 3).astype(np.uint8).reshape(48, 20, 3)[::-1], rotation=90)
    bench.feeder.put(tall)
    await bench.feeder.drain()
    assert bench.source.taken[-1] == (20, 48, tall.pixels.tobytes(), 1)
    for rotation, number in ((180, 2), (270, 3)):
        bench.feeder.put(frame(1, rotation=rotation))
        await bench.feeder.drain()
        assert bench.source.taken[-1][3] == number


async def test_what_is_no_frame_ends_it_once(bench: Bench) -> None:
    bench.feeder.start()
    wrong: Any = np.zeros((36, 64, 3), np.uint8)
    await asyncio.to_thread(bench.feeder.put, wrong)
    bench.feeder.put(wrong)
    bench.feeder.put(frame(1))
    await eventually(lambda: bool(bench.failures))
    (error,) = bench.failures
    assert error.code is UTDErrorCode.VALIDATION
    assert "ndarray" in error.message
    assert bench.source.values == [0]


async def test_closing_waits_for_the_one_on_its_way_and_drops_the_one_that_waits(
    bench: Bench,
) -> None:
    bench.feeder.start()
    bench.source.gate.clear()
    bench.feeder.put(frame(1))
    await eventually(lambda: bench.source.values == [0, 1])
    bench.feeder.put(frame(2))
    closing = asyncio.ensure_future(bench.feeder.aclose())
    await asyncio.sleep(0)
    assert not bench.source.is_closed
    bench.source.gate.set()
    await closing
    await bench.feeder.aclose()
    bench.feeder.put(frame(3))
    assert bench.source.values == [0, 1]


async def test_a_picture_that_livekit_refuses_is_logged_and_the_next_goes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench.feeder.start()

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such source")

    with monkeypatch.context() as patched:
        patched.setattr(bench.source, "capture_frame", refuse)
        bench.feeder.put(frame(1))
        await bench.feeder.drain()
    bench.feeder.put(frame(2))
    await bench.feeder.drain()
    assert bench.source.values == [0, 2]
    assert "LiveKit took no picture" in caplog.text
