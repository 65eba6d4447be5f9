"""A device is run opening after opening; what is counted goes on, what is shown does not."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from utd_rx.audio.microphone import Microphone
from utd_rx.audio.supervised import LEVELS_PER_STATISTICS
from utd_rx.models.device_state import FLOOR_DBFS
from utd_rx.models.devices import AudioDirection
from utd_rx.ports.audio import DeviceState
from utd_rx.testing.audio import FakeAudio, fake_device
from utd_rx.testing.clock import FakeClock

NOISE = np.random.default_rng(1).integers(-9_000, 9_000, (480_000, 1)).astype(np.int16)
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


async def test_nobody_is_told_twenty_times_a_second_what_nobody_looks_at() -> None:
    clock = FakeClock()
    audio = FakeAudio(clock, (HEADSET,))
    microphone = Microphone(backend=audio)
    stream = await microphone.open(lambda _: None)
    told_to: list[DeviceState] = []
    stop = audio.listen(microphone.key, told_to.extend)

    async def told_within(seconds: float) -> int:
        told_to.clear()
        for _ in range(round(100 * seconds)):
            clock.advance(0.01)
            await told()
        return len(told_to)

    await told_within(0.5)
    audio.say(NOISE)
    assert await told_within(2.0) == 4
    assert microphone.level.value == pytest.approx(-12, abs=3)  # to who only reads, too
    watching = microphone.level.subscribe()
    assert await told_within(1.0) == pytest.approx(20, abs=1)
    watching.dispose()
    await told_within(0.1)
    assert await told_within(2.0) == pytest.approx(4, abs=1)
    stop()
    await stream.aclose()
    await microphone.aclose()
