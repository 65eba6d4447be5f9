"""Devices of this process: commands reach the loop that has them open, from wherever they come."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Iterator

import pytest

from utd_rx.audio.microphone import Microphone
from utd_rx.models.audio import AudioFrame
from utd_rx.ports import living
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.clock import FakeClock


@pytest.fixture
def elsewhere() -> Iterator[asyncio.AbstractEventLoop]:
    """Another thread's loop, as a room may live on."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def test_a_device_opened_on_another_loop_is_commanded_from_this_one(
    elsewhere: asyncio.AbstractEventLoop,
) -> None:
    clock = FakeClock()
    microphone, frames = Microphone(backend=FakeAudio(clock)), list[AudioFrame]()
    crossed = pickle.loads(pickle.dumps(microphone))
    opening = asyncio.run_coroutine_threadsafe(crossed.open(frames.append), elsewhere)
    stream = await asyncio.wrap_future(opening)
    await microphone.device.until(lambda device: device is not None, timeout=5)
    await microphone.use("second")
    assert microphone.device.value is not None
    assert microphone.device.value.name == "second"
    microphone.mute()
    clock.advance(0.02)
    assert len(frames) == 2
    await microphone.aclose()
    assert microphone.device.value is None
    ended = asyncio.run_coroutine_threadsafe(stream.wait_ended(), elsewhere)
    await asyncio.wait_for(asyncio.wrap_future(ended), 5)


async def test_an_old_opening_closes_no_newer_one() -> None:
    microphone = Microphone(backend=FakeAudio(FakeClock()))
    first = await microphone.open(lambda frame: None)
    await first.aclose()
    second = await microphone.open(lambda frame: None)
    await first.aclose()
    assert microphone.device.value is not None
    await asyncio.gather(second.aclose(), second.aclose(), microphone.aclose())
    assert microphone.device.value is None


async def test_a_living_device_is_pickled_as_its_key() -> None:
    microphone = Microphone(backend=FakeAudio(FakeClock()))
    there = living.find(microphone.key)
    assert pickle.loads(pickle.dumps(there)) is there
    await microphone.aclose()
