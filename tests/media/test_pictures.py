"""The newest picture is shown, whole, as it was, and read-only."""

from __future__ import annotations

import asyncio

import numpy as np

from tests.media.test_frames import joined
from utd_rx.media.pictures import PictureReader, PictureWriter
from utd_rx.models.video import VideoFrame


def picture(number: int, width: int = 64, height: int = 36, rotation: int = 0) -> VideoFrame:
    pixels = np.full((height, width, 3), number % 256, np.uint8)
    return VideoFrame(pixels, number / 30, rotation)


def same(one: VideoFrame, other: VideoFrame) -> bool:
    return (
        np.array_equal(one.pixels, other.pixels)
        and one.timestamp == other.timestamp
        and one.rotation == other.rotation
    )


async def test_pictures_of_any_size_and_layout_arrive_as_they_were() -> None:
    turned = VideoFrame(np.rot90(np.arange(64 * 36 * 3, dtype=np.uint8).reshape(36, 64, 3)), 1.5)
    shown: list[VideoFrame] = []
    reader = PictureReader(shown.append)
    writer = PictureWriter(joined(reader))
    sent = [picture(1), picture(2, 640, 360, 90), turned, picture(3, 17, 16, 270)]
    for one in sent:
        writer.write(one)
        await asyncio.sleep(0)
        reader.drain()
    assert [same(*both) for both in zip(shown, sent, strict=True)] == [True] * 4
    assert not any(one.pixels.flags.writeable for one in shown)
    reader.finish()
    writer.close()


async def test_a_busy_loop_is_shown_the_newest_alone() -> None:
    shown: list[VideoFrame] = []
    reader = PictureReader(shown.append)
    writer = PictureWriter(joined(reader))
    for number in range(20):
        writer.write(picture(number))
    await asyncio.sleep(0)
    assert [one.timestamp for one in shown] == [19 / 30]
    for number in range(20, 30):
        writer.write(picture(number))
    reader.finish()
    assert [one.timestamp for one in shown] == [19 / 30, 29 / 30]
    writer.close()
    writer.write(picture(31))
    assert len(shown) == 2


async def test_a_loop_that_is_idle_is_woken() -> None:
    shown: asyncio.Queue[VideoFrame] = asyncio.Queue()
    reader = PictureReader(shown.put_nowait)
    writer = PictureWriter(joined(reader))
    for number in range(5):
        await asyncio.to_thread(writer.write, picture(number))
        assert same(await shown.get(), picture(number))
    reader.stop()
    reader.stop()
    writer.close()
