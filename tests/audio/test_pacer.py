"""Frames come at their own moments: no drift, a stall adds no delay, closing is final."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.virtual_clock import VirtualClock
from utd_rx.audio.pacer import MAX_CATCH_UP, PacedStream
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples

FORMAT = AudioFormat(8_000, 1)


def numbered(index: int) -> Samples:
    return np.full((80, 1), index, dtype=np.int16)


def numbers(frames: list[AudioFrame]) -> list[int]:
    return [int(frame.samples[0, 0]) for frame in frames]


def start(clock: VirtualClock, sink: FrameSink, count: int | None = None) -> PacedStream:
    return PacedStream(numbered, count, FORMAT, sink, clock, name="test stream")


async def test_each_frame_comes_at_its_own_moment() -> None:
    clock, seen = VirtualClock(), list[tuple[float, AudioFrame]]()
    stream = start(clock, lambda frame: seen.append((clock.now(), frame)))
    await clock.advance(2.0)
    await stream.aclose()
    assert numbers([frame for _, frame in seen]) == list(range(201))
    for index, (now, frame) in enumerate(seen):
        assert now == frame.at == stream.started_at + index / 100


async def test_the_end_is_when_the_last_frame_has_sounded() -> None:
    clock, frames = VirtualClock(), list[AudioFrame]()
    stream = start(clock, frames.append, count=3)
    ended = asyncio.ensure_future(stream.wait_ended())
    await clock.advance(0.0299)
    assert numbers(frames) == [0, 1, 2]
    assert not ended.done()
    await clock.advance(0.0002)
    assert ended.done()
    await stream.wait_ended()
    assert (stream.delivered_frames, stream.skipped_frames) == (3, 0)


async def test_a_short_stall_loses_nothing() -> None:
    clock, frames = VirtualClock(), list[AudioFrame]()
    stream = start(clock, frames.append)
    await clock.stall(0.095)
    assert numbers(frames) == list(range(10))
    await clock.advance(0.0051)
    assert numbers(frames) == list(range(11))
    assert stream.skipped_frames == 0
    await stream.aclose()


async def test_a_long_stall_is_skipped_but_for_its_end(caplog: pytest.LogCaptureFixture) -> None:
    clock, frames = VirtualClock(), list[AudioFrame]()
    stream = start(clock, frames.append)
    await clock.advance(0.001)
    with caplog.at_level(logging.WARNING, "utd_rx.audio.pacer"):
        await clock.stall(0.5)
    assert numbers(frames) == [0, *range(41, 51)]
    assert stream.skipped_frames == 40
    assert "skipped 400 ms" in caplog.text
    await clock.advance(0.01)
    assert frames[-1].at == pytest.approx(stream.started_at + 0.51)
    await stream.aclose()


async def test_a_loop_that_stalls_all_the_time_fills_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = VirtualClock()
    stream = start(clock, lambda _: None)
    await clock.advance(0.001)
    for _ in range(20):
        await clock.stall(0.2)
    assert stream.skipped_frames > 100
    assert len(caplog.records) == 5  # the 1st, 2nd, 4th, 8th and 16th
    await stream.aclose()


async def test_a_stall_beyond_the_end_ends_the_stream() -> None:
    clock, frames = VirtualClock(), list[AudioFrame]()
    stream = start(clock, frames.append, count=20)
    await clock.advance(0.001)
    await clock.stall(60.0)
    await stream.wait_ended()
    assert stream.delivered_frames + stream.skipped_frames == 20


@given(
    st.lists(
        st.tuples(st.booleans(), st.floats(0.0, 0.4)),
        max_size=12,
    ),
    st.integers(1, 150),
)
async def test_after_any_stalls_the_delay_is_bounded_and_frames_are_conserved(
    passages: list[tuple[bool, float]], count: int
) -> None:
    logging.getLogger("utd_rx.audio.pacer").setLevel(logging.ERROR)
    clock, delays, frames = VirtualClock(), list[float](), list[AudioFrame]()

    def sink(frame: AudioFrame) -> None:
        delays.append(clock.now() - frame.at)
        frames.append(frame)

    stream = start(clock, sink, count)
    for is_stall, seconds in passages:
        await (clock.stall(seconds) if is_stall else clock.advance(seconds))
    await clock.advance(count / 100 + 0.01)
    await stream.wait_ended()
    assert stream.delivered_frames == len(frames)
    assert stream.delivered_frames + stream.skipped_frames == count
    assert all(-1e-9 <= delay <= MAX_CATCH_UP + 1e-6 for delay in delays)
    assert numbers(frames) == sorted(set(numbers(frames)))


async def test_after_aclose_the_sink_is_not_called() -> None:
    clock, frames = VirtualClock(), list[AudioFrame]()
    stream = start(clock, frames.append)
    ended = asyncio.ensure_future(stream.wait_ended())
    await clock.advance(0.05)
    await asyncio.gather(stream.aclose(), stream.aclose())
    count = len(frames)
    await clock.advance(1.0)
    await stream.aclose()
    await asyncio.wait_for(ended, 1)
    assert len(frames) == count == stream.delivered_frames


async def test_closing_at_once_delivers_nothing() -> None:
    frames: list[AudioFrame] = []
    stream = start(VirtualClock(), frames.append)
    await stream.aclose()
    assert frames == []


async def test_cancelling_a_wait_does_not_stop_the_stream() -> None:
    clock, frames = VirtualClock(), list[AudioFrame]()
    stream = start(clock, frames.append, count=5)
    waiting = asyncio.ensure_future(stream.wait_ended())
    await clock.advance(0.01)
    waiting.cancel()
    await clock.advance(0.1)
    assert waiting.cancelled()
    assert len(frames) == 5
    await stream.wait_ended()


async def test_the_task_bears_the_streams_name() -> None:
    stream = start(VirtualClock(), lambda frame: None)
    assert "test stream" in {task.get_name() for task in asyncio.all_tasks()}
    await stream.aclose()


async def test_a_sink_that_raises_ends_the_stream_and_is_reported() -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, report: reports.append(report))

    def sink(frame: AudioFrame) -> None:
        raise LookupError("sink")

    clock = VirtualClock()
    stream = start(clock, sink)
    await clock.advance(0.05)
    with pytest.raises(LookupError):
        await stream.wait_ended()
    await stream.aclose()
    assert [type(report["exception"]) for report in reports] == [LookupError]
