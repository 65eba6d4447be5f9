"""Audio on its way in and out: nothing waits, nothing piles up, any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial

import numpy as np
import pytest
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import FfiRequest, FfiResponse

from tests.rtc.bench import Frames, tone_frame
from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFormat, AudioFrame
from utd_rx.rtc import native_frames, streams
from utd_rx.rtc.feeder import BURST, Feeder
from utd_rx.rtc.receiver import TrackSound

FORMAT = AudioFormat()


def unexpected(error: UTDStreamException) -> None:
    raise error


FRAME = tone_frame(FORMAT)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The feeder's clock, which stands; ask for it before the feeder."""
    now = [0.0]
    monkeypatch.setattr("utd_rx.rtc.feeder.monotonic", lambda: now[0])
    return now


@pytest.fixture
async def feeder() -> AsyncIterator[Feeder]:
    made = Feeder(FORMAT, unexpected)
    yield made
    await made.aclose()


async def hear(feeder: Feeder) -> tuple[TrackSound, Frames]:
    track = rtc.LocalAudioTrack.create_audio_track("loop", feeder.source)
    frames = Frames()
    reception = TrackSound("loop", frames)
    reception.attach(track)
    return reception, frames


async def test_frames_come_out_as_they_went_in(feeder: Feeder) -> None:
    reception, frames = await hear(feeder)
    feeder.start()
    for count in range(BURST):
        feeder.put(tone_frame(FORMAT, count))
    await frames.wait(lambda: len(frames.frames) == BURST)
    assert frames.frames[0].samples.shape == (480, 1)
    assert not frames.frames[0].samples.flags.writeable
    assert (frames.frames[2].samples == tone_frame(FORMAT, 2).samples).all()
    await reception.aclose()
    await reception.aclose()
    assert streams.exchange().open_streams == 0


def numbered(count: int) -> AudioFrame:
    samples = np.full((FORMAT.samples_per_frame, 1), count, np.int16)
    samples.flags.writeable = False
    return AudioFrame(samples, FORMAT.sample_rate)


async def test_frames_of_a_burst_do_not_overtake_each_other(
    now: list[float], feeder: Feeder
) -> None:
    """LiveKit works on frames concurrently: sent all at once, one burst in six was reordered."""
    reception, frames = await hear(feeder)
    feeder.start()
    for burst in range(40):
        now[0] = burst * BURST / FRAMES_PER_SECOND
        numbers = range(burst * BURST + 1, (burst + 1) * BURST + 1)
        for number in numbers:
            feeder.put(numbered(number))
        # LiveKit's queue of received frames is bounded.
        await frames.wait(partial(frames.has, numbers[-1]))
    assert [int(frame.samples[0, 0]) for frame in frames.frames] == list(range(1, 40 * BURST + 1))
    assert feeder.dropped == 0
    await reception.aclose()


async def test_a_stream_waits_for_a_busy_interpreter(
    feeder: Feeder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself LiveKit keeps ten frames, of which a busy machine lost 5 %."""
    asked: list[int] = []
    usual = FfiClient.request

    def request(self: FfiClient, request: FfiRequest) -> FfiResponse:
        if request.HasField("new_audio_stream"):
            asked.append(request.new_audio_stream.queue_size_frames)
        return usual(self, request)

    monkeypatch.setattr(FfiClient, "request", request)
    reception, _ = await hear(feeder)
    assert asked == [native_frames.NATIVE_QUEUE]
    await reception.aclose()


async def test_the_end_of_a_replaced_track_does_not_end_its_successor(feeder: Feeder) -> None:
    """A full reconnect replaces the track; the end of the old one arrives whenever it likes."""
    reception, frames = await hear(feeder)
    old = reception.track
    assert old is not None
    reception.attach(rtc.LocalAudioTrack.create_audio_track("again", feeder.source))
    reception.track_gone(old)
    feeder.start()
    heard = asyncio.create_task(frames.wait(lambda: bool(frames.frames)))
    while not heard.done():  # a second track of one source takes a moment to be fed
        feeder.put(FRAME)
        await asyncio.wait([heard], timeout=0.01)
    await heard
    await reception.aclose()


async def test_what_comes_before_the_start_is_the_beginning(feeder: Feeder) -> None:
    reception, frames = await hear(feeder)
    for count in range(3):
        feeder.put(tone_frame(FORMAT, count))
    feeder.start()
    await frames.wait(lambda: len(frames.frames) == 3)
    assert (frames.frames[0].samples == tone_frame(FORMAT, 0).samples).all()
    await reception.aclose()


async def test_a_burst_after_a_stall_is_cut(now: list[float], feeder: Feeder) -> None:
    feeder.start()
    now[0] = 0.3
    for _ in range(30):  # a stall of 300 ms, then everything at once
        feeder.put(FRAME)
    assert feeder.dropped == 30 - BURST
    await feeder.drain()
    for tick in range(1, 101):
        now[0] = 0.3 + tick * 0.01
        feeder.put(FRAME)
        await feeder.drain()
    assert feeder.dropped == 30 - BURST


async def test_a_fast_clock_loses_nothing(now: list[float], feeder: Feeder) -> None:
    feeder.start()
    for tick in range(3_000):
        now[0] = tick * 0.01 / 1.005  # half a percent fast, fifty times a bad crystal
        feeder.put(FRAME)
        await feeder.drain()
    assert feeder.dropped == 0


async def test_any_thread_may_put_and_none_after_the_end(feeder: Feeder) -> None:
    reception, frames = await hear(feeder)
    feeder.start()
    await asyncio.to_thread(feeder.put, FRAME)
    await frames.wait(lambda: len(frames.frames) == 1)
    await feeder.aclose()
    thread = threading.Thread(target=feeder.put, args=(FRAME,))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert len(frames.frames) == 1
    await reception.aclose()


async def test_a_closed_reception_is_silent_at_once(feeder: Feeder) -> None:
    reception, frames = await hear(feeder)
    feeder.start()
    feeder.put(FRAME)
    await frames.wait(lambda: len(frames.frames) == 1)
    await reception.aclose()
    feeder.put(FRAME)
    await feeder.drain()
    other = Feeder(FORMAT, unexpected)
    await other.aclose()
    assert len(frames.frames) == 1
    assert reception.has_ended


async def test_long_frames_are_no_burst(now: list[float], feeder: Feeder) -> None:
    """Of 100 ms, as many a voice from a file has them; ten pieces at once, ten times a second."""
    reception, frames = await hear(feeder)
    feeder.start()
    tone = np.concatenate([tone_frame(FORMAT, count).samples for count in range(200)])
    for number in range(20):
        now[0] = number / 10
        feeder.put(AudioFrame(tone[number * 4_800 : (number + 1) * 4_800], 48_000))
        await frames.wait(partial(frames.has, (number + 1) * 10))
    assert feeder.dropped == 0
    assert (np.concatenate([frame.samples for frame in frames.frames]) == tone).all()
    await reception.aclose()


async def test_a_long_frame_before_the_start_is_heard_whole(feeder: Feeder) -> None:
    reception, frames = await hear(feeder)
    tone = np.concatenate([tone_frame(FORMAT, count).samples for count in range(20)])
    feeder.put(AudioFrame(tone, 48_000))
    feeder.start()
    await frames.wait(partial(frames.has, 20))
    assert (np.concatenate([frame.samples for frame in frames.frames]) == tone).all()
    await reception.aclose()


async def test_the_last_samples_are_heard(feeder: Feeder) -> None:
    reception, frames = await hear(feeder)
    feeder.start()
    feeder.put(AudioFrame(FRAME.samples[:100], 48_000))
    await feeder.drain()
    await frames.wait(partial(frames.has, 1))
    assert (frames.frames[0].samples[:100] == FRAME.samples[:100]).all()
    assert not frames.frames[0].samples[100:].any()
    await reception.aclose()
