"""Frames cross as they were, in order, in batches; who does not read has a second, the newest."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.media.restored import turns
from utd_rx.media.frames import FrameReader, FrameWriter
from utd_rx.media.loop_reader import LoopReader
from utd_rx.media.ring import RingReader, RingShape
from utd_rx.models.audio import AudioFrame
from utd_rx.testing.contracts import Batches


def frame(number: int, count: int = 480, channels: int = 1, rate: int = 48_000) -> AudioFrame:
    samples = np.full((count, channels), number, np.int16)
    return AudioFrame(samples, rate, number / 100)


def joined(reader: LoopReader[Any]) -> Callable[[RingShape, tuple[int, int]], None]:
    """What announces to `reader`, in order, from any thread."""
    loop = asyncio.get_running_loop()

    def announce(shape: RingShape, descriptors: tuple[int, int]) -> None:
        memory, bell = map(os.dup, descriptors)
        loop.call_soon_threadsafe(reader.attach, shape, memory, bell)

    return announce


def told(frames: Any) -> list[tuple[Any, ...]]:
    return [(f.samples.tolist(), f.samples.shape, f.sample_rate, f.at) for f in frames]


FRAMES = st.tuples(
    st.integers(0, 3000), st.sampled_from([1, 2]), st.sampled_from([16_000, 44_100, 192_000])
)


@settings(max_examples=15, deadline=None)
@example([[(2667, 1, 8_000)] * 3])  # a second, and no more
@given(st.lists(st.lists(FRAMES, max_size=3), max_size=5))
def test_frames_of_any_length_and_format_arrive_as_they_were(
    batches: list[list[tuple[int, int, int]]],
) -> None:
    async def cross() -> None:
        came: list[AudioFrame] = []
        reader = FrameReader(came.extend)
        writer = FrameWriter(joined(reader))
        written = []
        for batch in batches:
            frames = [frame(n, *of) for n, of in enumerate(batch)]
            written += frames
            writer.write(frames)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        reader.finish()
        writer.close()
        assert told(came) == told(written)
        assert not any(one.samples.flags.writeable for one in came)
        assert reader.lost == 0

    asyncio.run(cross())


async def test_the_newest_second_waits_for_a_loop_that_is_busy() -> None:
    came: list[tuple[AudioFrame, ...]] = []
    reader = FrameReader(came.append)
    writer = FrameWriter(joined(reader))
    writer.write([frame(0)])
    await asyncio.sleep(0)
    for number in range(1, 251):
        writer.write([frame(number)])
    reader.finish()
    assert [[int(one.samples[0, 0]) for one in batch] for batch in came] == [
        [0],
        list(range(151, 251)),
    ]
    assert reader.lost == 150
    writer.close()


async def test_a_reader_that_waits_is_woken_from_any_thread() -> None:
    came = Batches[AudioFrame]()
    reader = FrameReader(came.take)
    writer = FrameWriter(joined(reader))

    def write() -> None:
        for number in range(300):
            writer.write([frame(number)])

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):  # noqa: ASYNC110 - they run
        await asyncio.sleep(0)
    writer.write([frame(1000)])
    await came.until(lambda one: one.samples[0, 0] == 1000)
    assert len(came.told) + reader.lost == 901
    reader.stop()
    writer.write([frame(1001)])
    writer.close()
    writer.write([frame(1002)])
    assert came.told[-1].samples[0, 0] == 1000


async def test_a_sink_that_raises_loses_its_batch_alone(caplog: pytest.LogCaptureFixture) -> None:
    came: list[AudioFrame] = []

    def take(frames: tuple[AudioFrame, ...]) -> None:
        came.extend(frames)
        if len(came) == 1:
            raise ValueError("no")

    reader = FrameReader(take)
    writer = FrameWriter(joined(reader))
    for number in range(2):
        writer.write([frame(number)])
        await asyncio.sleep(0)
        reader.drain()
    assert len(came) == 2
    assert "a frame was lost" in caplog.text
    reader.finish()
    writer.close()


@pytest.mark.parametrize("strange", [(800_000, 2, 192_000), (2, 70_000, 2**70), (1, 1, 2**40)])
async def test_what_no_track_takes_crosses_so_that_it_is_refused(
    strange: tuple[int, int, int],
) -> None:
    came: list[AudioFrame] = []
    reader = FrameReader(came.extend)
    writer = FrameWriter(joined(reader))
    writer.write([frame(1, *strange), frame(2)])
    await asyncio.sleep(0)
    reader.finish()
    writer.close()
    refused, usual = came
    assert refused.samples.shape == (strange[0], min(strange[1], 0xFFFF))
    assert refused.sample_rate == min(strange[2], 2**32 - 1)
    assert told([usual]) == told([frame(2)])


async def test_a_head_that_lies_makes_no_frame() -> None:
    came: list[AudioFrame] = []
    reader = FrameReader(came.extend)
    rings: list[RingReader] = []
    writer = FrameWriter(lambda shape, fds: rings.append(RingReader(shape, *map(os.dup, fds))))
    writer.write([frame(1), frame(2)])
    [ring] = rings
    lying = ring.take().copy()
    lying[0, 20:24] = 255  # samples
    lying[1, 26:28] = 255  # slots

    class Lying(RingReader):
        def __init__(self) -> None:
            pass

        def take(self) -> Any:
            return lying

    reader.deliver(Lying())
    assert came == []
    reader.finish()
    writer.close()
    ring.close()


@pytest.mark.parametrize("raised", [ValueError, asyncio.CancelledError])
async def test_a_sink_that_raises_is_given_what_comes_next(
    raised: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    came: list[AudioFrame] = []

    def take(frames: tuple[AudioFrame, ...]) -> None:
        came.extend(frames)
        if len(came) == 1:
            raise raised

    reader = FrameReader(take)
    writer = FrameWriter(joined(reader))
    for number in range(3):
        writer.write([frame(number)])
        await turns()
    assert len(came) == 3
    assert "a frame was lost" in caplog.text
    writer.close()
    reader.stop()
