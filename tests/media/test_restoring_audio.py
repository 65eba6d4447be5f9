"""Devices go on in the next media process, as they were wished; who listens hears of the gap."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from tests.media.hosts import FakeHost
from tests.media.restored import turns
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.restoring_audio import RestoringAudio, ordered
from utd_rx.media.succession import Succession
from utd_rx.models.audio import AudioFrame
from utd_rx.models.devices import AudioDirection, DeviceKey
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.ports.audio import (
    DeviceState,
    Flush,
    MicrophoneSettings,
    SetGain,
    SetMuted,
    SetVolume,
    SpeakerSettings,
)
from utd_rx.testing.audio import FakeAudio, fake_device
from utd_rx.testing.clock import FakeClock
from utd_rx.testing.contracts import Batches, refusal

SECOND = fake_device("second", AudioDirection.OUTPUT)


class Desk:
    """A port that outlives its processes, whose devices are of one clock; the next process lacks
    devices by the name of `lacks`, opens none before its `gate` is, or at all for `closed`,
    `is_stillborn`, or is not to be had, for `refusal`."""

    lacks = ""
    gate: asyncio.Event | None = None
    closed: UTDStreamException | None = None
    is_stillborn = False
    refusal: UTDStreamException | None = None

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.hosts: list[FakeHost] = []
        self.audios: list[FakeAudio] = []
        self.succession = Succession(self._start, self.clock)
        self.port = RestoringAudio(self.succession, self._make, FakeAudio(self.clock).abilities)

    def _start(self) -> FakeHost:
        if self.refusal is not None:
            raise self.refusal
        self.hosts.append(FakeHost())
        if self.is_stillborn:
            asyncio.get_running_loop().call_soon(self.hosts[-1].die)
        return self.hosts[-1]

    def _make(self, host: FakeHost) -> Any:
        self.audios.append(FakeAudio(self.clock))
        if self.lacks:
            for direction in AudioDirection:
                self.audios[-1].unplug(self.lacks, direction)
        if (closed := self.closed) is not None:

            async def open_never(key: DeviceKey) -> None:
                raise closed

            self.audios[-1].open = open_never  # type: ignore[method-assign] # a fake
        if (gate := self.gate) is not None:
            opened = self.audios[-1].open

            async def open_later(key: DeviceKey) -> None:
                await gate.wait()
                await opened(key)

            self.audios[-1].open = open_later  # type: ignore[method-assign] # a fake
        return host.near(self.audios[-1])

    async def die(self) -> None:
        """Let the process die, and its successor be there."""
        self.hosts[-1].die()
        await turns(20)


def test_settings_follow_orders_that_make_sense() -> None:
    microphone, speaker = MicrophoneSettings(), SpeakerSettings()
    assert ordered(microphone, SetGain(2.0)) == MicrophoneSettings(gain=2.0)
    assert ordered(microphone, SetMuted(True)) == MicrophoneSettings(is_muted=True)
    assert ordered(speaker, SetVolume(0.5)) == SpeakerSettings(volume=0.5)
    for settings, order in ((microphone, SetVolume(2.0)), (speaker, SetGain(2.0))):
        assert ordered(settings, order) is settings
    assert ordered(speaker, Flush()) is speaker


async def test_what_is_open_is_open_again_as_it_was_wished_last() -> None:
    desk, key, told = Desk(), DeviceKey("microphone"), Batches[DeviceState]()
    desk.port.add(key, MicrophoneSettings())
    desk.port.listen(key, told.take)
    await desk.port.open(key)
    await desk.port.use(key, "second")
    await desk.port.process(key, VoiceProcessing(noise_suppression=True))
    desk.port.order(key, SetGain(2.0))
    desk.port.order(key, SetMuted(True))
    desk.hosts[-1].die("aborted")
    await turns(2)
    gone: Any = told.told[-1]
    assert gone.device is None
    assert "aborted" in gone.failure.message
    now = await told.until(lambda state: state.device is not None, after=len(told.told))
    assert (now.device.name, now.gain, now.is_muted, now.failure) == ("second", 2.0, True, None)
    assert now.processing == VoiceProcessing(noise_suppression=True)
    assert len(desk.hosts) == 2
    await desk.port.close(key)
    assert told.told[-1].device is None


async def test_what_is_heard_is_heard_on() -> None:
    desk, key, frames = Desk(), DeviceKey("microphone"), Batches[AudioFrame]()
    desk.port.add(key, MicrophoneSettings())
    stop = desk.port.hear(key, frames.take)
    await desk.port.open(key)
    await desk.die()
    desk.audios[-1].say(np.full((480, 1), 9_000, np.int16))
    desk.clock.advance(0.02)
    heard = await frames.until(lambda frame: True)
    assert abs(heard.samples).max() > 0
    stop()
    stop()


async def test_what_begins_to_be_heard_while_it_opens_again_is_heard_once() -> None:
    desk, key, frames = Desk(), DeviceKey("microphone"), Batches[AudioFrame]()
    desk.port.add(key, MicrophoneSettings())
    await desk.port.open(key)
    desk.gate = asyncio.Event()
    await desk.die()
    stop = desk.port.hear(key, frames.take)
    desk.gate.set()
    await turns(20)
    desk.audios[-1].say(np.full((480, 1), 9_000, np.int16))
    desk.clock.advance(0.02)
    await frames.until(lambda frame: True)
    assert [abs(frame.samples).max() for frame in frames.told].count(9_000) == 1
    stop()
    before = len(frames.told)
    desk.clock.advance(0.02)
    await turns()
    assert len(frames.told) == before


async def test_who_begins_to_listen_while_it_opens_again_is_told_that_it_does_not() -> None:
    desk, key, told = Desk(), DeviceKey("speaker"), Batches[DeviceState]()
    desk.port.add(key, SpeakerSettings(device="second"))
    await desk.port.open(key)
    desk.lacks, desk.gate = "second", asyncio.Event()
    await desk.die()
    stop = desk.port.listen(key, told.take)
    desk.gate.set()
    await told.until(lambda state: state.failure is not None)
    stop()
    before = len(told.told)
    desk.port.order(key, SetMuted(True))
    await turns()
    assert len(told.told) == before


async def test_a_command_to_a_process_that_died_before_it_served_is_the_next_ones() -> None:
    desk, key = Desk(), DeviceKey("microphone")
    desk.port.add(key, MicrophoneSettings())
    desk.succession.begin()
    desk.hosts[-1].die()  # which nobody sees before the first command
    await desk.port.open(key)
    assert len(desk.hosts) == 2
    desk.hosts[-1].die()
    failed = await refusal(desk.port.use(key, "second"))
    assert (failed.code, len(desk.hosts)) == (UTDErrorCode.NETWORK, 2)
    await turns(20)
    await desk.port.close(key)


async def test_a_process_that_always_dies_before_it_serves_is_given_up() -> None:
    desk, key = Desk(), DeviceKey("microphone")
    desk.is_stillborn = True
    desk.port.add(key, MicrophoneSettings())
    opening = asyncio.ensure_future(refusal(desk.port.open(key)))
    await turns(20)
    desk.clock.advance(0.5)
    assert (await opening).code is UTDErrorCode.FEATURE_DISABLED
    assert len(desk.hosts) == 3


async def test_who_cannot_listen_listens_to_nothing() -> None:
    desk, key, told = Desk(), DeviceKey("microphone"), Batches[DeviceState]()
    desk.port.add(key, MicrophoneSettings())
    desk.refusal = UTDStreamException("no process", code=UTDErrorCode.FEATURE_DISABLED)
    with pytest.raises(UTDStreamException, match="no process"):
        desk.port.listen(key, told.take)
    desk.refusal = None
    await desk.port.open(key)
    assert told.told == []
    await desk.port.close(key)


@pytest.mark.parametrize("deaths", [1, 2])
async def test_a_device_that_is_away_as_well_has_failed_until_it_is_back(deaths: int) -> None:
    desk, key, told = Desk(), DeviceKey("speaker"), Batches[DeviceState]()
    desk.port.add(key, SpeakerSettings(device="second"))
    desk.port.listen(key, told.take)
    await desk.port.open(key)
    desk.lacks = "second"
    before = len(told.told)
    for _ in range(deaths):
        await desk.die()
        desk.clock.advance(0.5)
        await turns(20)
    assert len(desk.hosts) == 1 + deaths
    assert all(state.failure is not None for state in told.told[before:])
    failure = told.told[-1].failure
    assert failure is not None
    assert failure.code is UTDErrorCode.NOT_FOUND
    desk.audios[-1].plug_in(SECOND)
    back = await told.until(lambda state: state.device is not None, after=before)
    assert (back.device, back.failure) == (SECOND, None)
    await desk.port.close(key)


async def test_a_microphone_that_a_room_opens_again_is_awaited_as_well() -> None:
    desk, key, told = Desk(), DeviceKey("microphone"), Batches[DeviceState]()
    desk.port.add(key, MicrophoneSettings(device="first"))
    desk.port.listen(key, told.take)
    await living.find(key).open(lambda frame: None)
    await told.until(lambda state: state.device is not None)
    desk.lacks = "first"
    await desk.die()
    desk.succession.begin()
    await living.find(key).open(lambda frame: None)
    away = await told.until(lambda state: state.failure is not None)
    assert away.device is None
    desk.audios[-1].plug_in(fake_device("first", AudioDirection.INPUT))
    await told.until(lambda state: state.device is not None, after=len(told.told))
    await living.find(key).close()


async def test_a_device_that_does_not_open_again_has_failed_until_somebody_opens_it() -> None:
    desk, key, told = Desk(), DeviceKey("speaker"), Batches[DeviceState]()
    desk.port.add(key, SpeakerSettings())
    desk.port.listen(key, told.take)
    await desk.port.open(key)
    desk.closed = UTDStreamException("held by another", code=UTDErrorCode.CONFLICT)
    await desk.die()
    before = len(told.told)
    desk.port.order(key, SetVolume(0.5))
    await told.until(lambda state: True, after=before)
    assert told.told[-1].failure is desk.closed
    del desk.audios[-1].open
    desk.hosts[-1].die()
    await turns()
    assert len(desk.hosts) == 2  # nothing is open that would need another one
    desk.closed = None
    desk.clock.advance(0.5)
    await desk.port.open(key)
    now = await told.until(lambda state: state.device is not None, after=before)
    assert now.failure is None
    await desk.port.close(key)


async def given_up(desk: Desk) -> None:
    """Let three processes die, one after the other."""
    for _ in range(3):
        await desk.die()
        desk.clock.advance(0.5)
        await turns(20)


async def test_who_is_given_up_has_failed_with_the_last_words_until_it_is_opened() -> None:
    desk, key, told = Desk(), DeviceKey("speaker"), Batches[DeviceState]()
    desk.port.add(key, SpeakerSettings())
    desk.port.listen(key, told.take)
    await desk.port.open(key)
    await given_up(desk)
    failure = told.told[-1].failure
    assert failure is not None
    assert (failure.code, "killed" in failure.message) == (UTDErrorCode.FEATURE_DISABLED, True)
    desk.clock.advance(60.0)
    before = len(told.told)
    desk.succession.begin()  # for somebody else
    await told.until(lambda state: True, after=before)
    assert told.told[-1].failure is failure
    await desk.port.open(key)
    now = await told.until(lambda state: state.device is not None, after=before)
    assert now.failure is None
    await desk.port.close(key)
    assert told.told[-1].failure is None


async def test_who_is_given_up_and_closed_has_no_failure() -> None:
    desk, key, told = Desk(), DeviceKey("microphone"), Batches[DeviceState]()
    desk.port.add(key, MicrophoneSettings())
    desk.port.listen(key, told.take)
    await desk.port.open(key)
    await given_up(desk)
    assert told.told[-1].failure is not None
    await desk.port.close(key)
    assert told.told[-1].failure is None


async def test_a_microphone_of_a_room_that_is_given_up_has_failed() -> None:
    desk, key, told = Desk(), DeviceKey("microphone"), Batches[DeviceState]()
    other = DeviceKey("speaker")
    desk.port.add(key, MicrophoneSettings(device="first"))
    desk.port.add(other, SpeakerSettings())
    desk.port.listen(key, told.take)
    await desk.port.open(other)
    for _ in range(2):
        await living.find(key).open(lambda frame: None)
        await told.until(lambda state: state.device is not None)
        await desk.die()
        desk.clock.advance(0.5)
        await turns(20)
    await living.find(key).open(lambda frame: None)
    await desk.die()
    failure = told.told[-1].failure
    assert failure is not None
    assert failure.code is UTDErrorCode.FEATURE_DISABLED
    desk.clock.advance(60.0)
    desk.lacks = "first"
    desk.succession.begin()
    assert (await refusal(living.find(key).open(lambda frame: None))).code is UTDErrorCode.NOT_FOUND
    await desk.port.close(other)


async def test_what_is_closed_is_known_in_the_next_process_and_closed() -> None:
    desk, key = Desk(), DeviceKey("microphone")
    desk.port.add(key, MicrophoneSettings())
    with pytest.raises(UTDStreamException):
        living.find(key)
    await desk.port.open(key)
    await desk.port.close(key)
    await desk.die()
    assert len(desk.hosts) == 1
    await desk.port.open(key)
    assert len(desk.hosts) == 2
    desk.port.forget(key)
    assert (await refusal(desk.port.open(key))).code is UTDErrorCode.NOT_FOUND
