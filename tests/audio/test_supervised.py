"""A device is run opening after opening; what is counted goes on, what is shown does not."""

from __future__ import annotations

import asyncio

import pytest

from utd_rx.audio.microphone import Microphone
from utd_rx.audio.supervised import LEVELS_PER_STATISTICS
from utd_rx.models.device_state import FLOOR_DBFS
from utd_rx.models.devices import AudioDirection
from utd_rx.testing.audio import FakeAudio, fake_device
from utd_rx.testing.clock import FakeClock

HEADSET = fake_device("headset", AudioDirection.INPUT, is_default=True)


async def told() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_its_counts_go_on_over_a_loss_and_another_opening() -> None:
    clock = FakeClock()
    audio = FakeAudio(clock, (HEADSET,))
    microphone = Microphone(backend=audio)
    for lost in (1, 2):
        stream = await microphone.open(lambda _: None)
        audio.unplug("headset", AudioDirection.INPUT)
        await told()
        assert microphone.statistics.value.lost == lost
        audio.plug_in(HEADSET)
        await stream.aclose()
    await microphone.aclose()
    assert microphone.statistics.value.lost == 2


async def test_who_is_lost_is_silent_and_says_why() -> None:
    clock = FakeClock()
    audio = FakeAudio(clock, (HEADSET,))
    microphone = Microphone(backend=audio)
    await microphone.open(lambda _: None)
    audio.unplug("headset", AudioDirection.INPUT)
    await told()
    state = microphone.state.value
    assert (state.device, state.level, state.is_speaking) == (None, FLOOR_DBFS, False)
    assert state.failure is not None
    audio.plug_in(HEADSET)
    await told()
    assert (microphone.device.value, microphone.failure.value) == (HEADSET, None)
    await microphone.aclose()


async def test_statistics_are_told_with_every_tenth_level() -> None:
    clock = FakeClock()
    audio = FakeAudio(clock, (HEADSET,))
    microphone = Microphone(backend=audio)
    await microphone.open(lambda _: None)
    counted: list[int] = []
    microphone.statistics.subscribe(lambda statistics: counted.append(statistics.frames))
    clock.advance(1.0)
    await told()
    assert counted[-1] == pytest.approx(100, abs=5)
    assert len(counted) <= 1 + 20 // LEVELS_PER_STATISTICS
    await microphone.aclose()
