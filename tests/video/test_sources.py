"""Pictures of an app's own, in each form it may have them: in order, paced, and read to the end."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.video.eager import EagerClock
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.video import Pixels, VideoFormat, VideoFrame
from utd_rx.video import FrameSource, TestPattern, read_counter

PATTERN = TestPattern(64, 36)
FOUR = np.stack([PATTERN.picture(number) for number in range(4)])


def pictures(count: int) -> Iterator[Pixels]:
    return (PATTERN.picture(number) for number in range(count))


async def shown(source: FrameSource) -> list[VideoFrame]:
    """All its frames; of one without end, the first eleven."""
    frames: list[VideoFrame] = []
    enough = asyncio.Event()

    def take(frame: VideoFrame) -> None:
        frames.append(frame)
        if len(frames) == 11:
            enough.set()

    stream = await source.open(take)
    waits = [asyncio.ensure_future(one) for one in (stream.wait_ended(), enough.wait())]
    async with asyncio.timeout(10):
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    await stream.aclose()
    waits[1].cancel()
    await asyncio.wait(waits)
    waits[0].result()
    assert stream.delivered_frames == len(frames)
    return frames[:11]


def numbers(frames: list[VideoFrame]) -> list[int | None]:
    return [read_counter(frame) for frame in frames]


@pytest.mark.parametrize(
    "frames",
    [
        FOUR,
        list(FOUR),
        tuple(VideoFrame(picture) for picture in FOUR),
        pictures(4),
        lambda number: PATTERN.picture(number) if number < 4 else None,
    ],
    ids=["array", "list", "frames", "iterator", "function"],
)
async def test_every_picture_is_delivered_once_and_at_its_moment(frames: Any) -> None:
    source = FrameSource(frames, 25, size=(64, 36), clock=EagerClock())
    assert source.format == VideoFormat(64, 36, 25)
    delivered = await shown(source)
    assert numbers(delivered) == [0, 1, 2, 3]
    assert [round(frame.timestamp - 1000, 6) for frame in delivered] == [0, 0.04, 0.08, 0.12]


async def test_a_loop_begins_again_without_a_gap() -> None:
    delivered = await shown(FrameSource(FOUR, 10, loop=True, clock=EagerClock()))
    assert numbers(delivered) == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]
    steps = np.diff([frame.timestamp for frame in delivered])
    assert steps == pytest.approx(0.1)


async def test_a_loop_of_what_is_used_up_ends() -> None:
    source = FrameSource(pictures(3), size=(64, 36), loop=True, clock=EagerClock())
    assert numbers(await shown(source)) == [0, 1, 2]


async def test_each_opening_begins_anew_but_an_iterator_goes_on() -> None:
    anew = FrameSource(FOUR, clock=EagerClock())
    assert numbers(await shown(anew)) == numbers(await shown(anew)) == [0, 1, 2, 3]
    endless = FrameSource(pictures(1_000), size=(64, 36), clock=EagerClock())
    first, second = numbers(await shown(endless)), numbers(await shown(endless))
    assert first == list(range(11))
    assert second[0] is not None
    assert 10 < second[0] < 1_000
    assert second == list(range(second[0], second[0] + 11))


async def test_a_size_and_a_rotation_may_change() -> None:
    turned = VideoFrame(np.zeros((64, 36, 3), np.uint8), rotation=90)
    delivered = await shown(FrameSource([FOUR[0], turned], clock=EagerClock()))
    assert [(f.width, f.height, f.rotation) for f in delivered] == [(64, 36, 0), (36, 64, 90)]


@pytest.mark.parametrize(
    ("stall", "moments"),
    [(0.0, [0.0, 0.1, 0.2]), (0.3, [0.0, 0.1, 0.2]), (2.0, [0.0, 2.0, 4.0])],
    ids=["in time", "made up for", "goes on from where it is"],
)
async def test_what_is_late_is_delivered_at_once_and_not_hurried_through(
    stall: float, moments: list[float]
) -> None:
    clock, frames = EagerClock(), list[VideoFrame]()

    def take(frame: VideoFrame) -> None:
        frames.append(frame)
        clock.time += stall

    stream = await FrameSource(FOUR[:3], 10, clock=clock).open(take)
    await stream.wait_ended()
    await stream.aclose()
    assert numbers(frames) == [0, 1, 2]
    assert [frame.timestamp - 1000 for frame in frames] == pytest.approx(moments)


async def test_a_slow_function_holds_up_nobody() -> None:
    gate = threading.Event()
    threads = set[str]()

    def draw(number: int) -> Pixels | None:
        gate.wait(10)
        threads.add(threading.current_thread().name)
        return PATTERN.picture(number) if number < 3 else None

    source = FrameSource(draw, 10, size=(64, 36), clock=EagerClock())
    showing = asyncio.create_task(shown(source))
    await asyncio.sleep(0)
    assert not showing.done()
    gate.set()
    delivered = await showing
    assert numbers(delivered) == [0, 1, 2]
    assert threading.current_thread().name not in threads


@pytest.mark.parametrize("wrong", ["text", np.zeros((36, 64), np.uint8), None])
async def test_what_is_no_picture_ends_the_stream(wrong: Any) -> None:
    source = FrameSource(iter([FOUR[0], wrong]), size=(64, 36), clock=EagerClock())
    with pytest.raises(UTDStreamException) as raised:
        await shown(source)
    assert raised.value.code is UTDErrorCode.VALIDATION


async def test_what_an_iterator_raises_ends_the_stream() -> None:
    def broken() -> Iterator[Pixels]:
        yield FOUR[0]
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        await shown(FrameSource(broken(), size=(64, 36), clock=EagerClock()))


async def test_what_is_read_when_it_is_closed_is_nobodys_business(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate, reading = threading.Event(), threading.Event()

    def broken(number: int) -> Pixels:
        if number == 0:
            return PATTERN.picture(0)
        reading.set()
        gate.wait(10)
        raise OSError("torn")

    frames: list[VideoFrame] = []
    source = FrameSource(broken, size=(64, 36), clock=EagerClock())
    stream = await source.open(frames.append)
    await asyncio.to_thread(reading.wait, 10)
    closing = asyncio.create_task(stream.aclose())
    await asyncio.sleep(0)
    gate.set()
    await closing
    await stream.aclose()
    gc.collect()
    assert len(frames) <= 1
    assert caplog.records == []


async def made_later(number: int) -> None:
    return None


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        (FOUR[0], r"\(n, height, width, 3\), not uint8 of \(36, 64, 3\)"),
        (FOUR.astype(float), "not float64"),
        (FOUR[:0], r"not uint8 of \(0,"),
        ([], "not list"),
        ([b"bytes"], "not list"),
        (None, "not NoneType"),
        (7, "not int"),
        (pictures(1), "pass size="),
        (PATTERN.picture, "pass size="),
        (made_later, "frames is not awaited"),
    ],
)
def test_what_are_no_frames_is_refused(frames: Any, told: str) -> None:
    with pytest.raises(UTDStreamException, match=told) as raised:
        FrameSource(frames)
    assert raised.value.code is UTDErrorCode.VALIDATION


@pytest.mark.parametrize("size", [(15, 360), (640, 5_000), (640,), "ab", (0.5, 36)])
def test_a_size_that_is_none_is_refused(size: Any) -> None:
    with pytest.raises(UTDStreamException, match=r"size must be \(width, height\)"):
        FrameSource(PATTERN.picture, size=size)


async def test_it_crosses_into_another_process() -> None:
    again = pickle.loads(pickle.dumps(FrameSource(FOUR, 25)))
    assert again.format == VideoFormat(64, 36, 25)
    assert (again.frames == FOUR).all()
