"""What every audio port promises; a subclass has a fixture `bench` that gives an `AudioBench`."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any, Protocol

import numpy as np
import pytest
import pytest_asyncio

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame, AudioInput
from utd_rx.models.device_state import MicrophoneState, SpeakerState
from utd_rx.models.devices import DeviceChoice, DeviceKey
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.ports.audio import (
    AudioPort,
    AwaitDevice,
    DeviceState,
    Flush,
    MicrophoneSettings,
    Order,
    SetGain,
    SetMuted,
    Settings,
    SetVolume,
    SpeakerSettings,
)
from utd_rx.testing.contracts import PATIENCE, Batches, refusal


class AudioWorld(Protocol):
    """The devices behind the port: two of either direction, by these names."""

    first: str
    second: str

    async def lose(self) -> None:
        """Take away what is open; `pytest.skip` where that is not possible."""

    async def take_away(self) -> None:
        """Take away what may be opened; `pytest.skip` where that is not possible."""

    async def bring_back(self) -> None:
        """Bring back what was taken away, or lost."""

    async def sound(self) -> None:
        """Let 50 ms of something loud be heard by whatever hears; again and again if need be."""


class Device(Batches[DeviceState]):
    """A device of the port, and everything it told."""

    def __init__(self, port: AudioPort, key: DeviceKey) -> None:
        super().__init__()
        self.key = key
        self._port = port
        self.stop = port.listen(key, self.take)

    @property
    def state(self) -> Any:
        """What it told last."""
        return self.batches[-1][-1]

    @property
    def name(self) -> str | None:
        """Which device is open, None when none is."""
        return None if self.state.device is None else self.state.device.name

    async def open(self) -> None:
        await self._port.open(self.key)

    async def close(self, *, for_good: bool = False) -> None:
        await self._port.close(self.key, for_good=for_good)

    async def use(self, device: DeviceChoice) -> None:
        await self._port.use(self.key, device)

    def order(self, order: Order) -> None:
        self._port.order(self.key, order)


class AudioBench:
    """A port, its world, and what was made of it."""

    def __init__(self, port: AudioPort, world: AudioWorld) -> None:
        self.port = port
        self.world = world
        self.made: list[DeviceKey] = []

    async def make(self, kind: str, **wishes: Any) -> Device:
        """Return a device that has told what it begins with."""
        wishes = {"device": self.world.first, **wishes}
        if kind == "microphone":
            always = self.port.abilities.processing or VoiceProcessing()
            settings: Settings = MicrophoneSettings(processing=always, **wishes)
        else:
            settings = SpeakerSettings(**wishes)
        key = DeviceKey(kind)
        self.port.add(key, settings)
        self.made.append(key)
        device = Device(self.port, key)
        await device.until(lambda state: True)
        return device

    async def close(self) -> None:
        """Close everything for good."""
        for key in self.made:
            await self.port.close(key, for_good=True)
            self.port.forget(key)


@pytest.mark.asyncio
class AudioContract:
    """The suite; see the module."""

    @pytest.fixture(params=["microphone", "speaker"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest_asyncio.fixture
    async def device(self, bench: AudioBench, kind: str) -> Device:
        return await bench.make(kind)

    async def test_what_it_can_do_is_a_value(self, bench: AudioBench) -> None:
        abilities = bench.port.abilities
        assert pickle.loads(pickle.dumps(abilities)) == abilities == bench.port.abilities
        assert abilities.backend

    async def test_what_was_not_added_is_not_there(self, bench: AudioBench) -> None:
        key = DeviceKey("microphone")
        for command in (bench.port.open(key), bench.port.use(key, None), bench.port.close(key)):
            assert (await refusal(command)).code is UTDErrorCode.NOT_FOUND
        for listen in (bench.port.listen, bench.port.hear):
            with pytest.raises(UTDStreamException) as raised:
                listen(key, lambda batch: None)
            assert raised.value.code is UTDErrorCode.NOT_FOUND
        bench.port.order(key, SetMuted(True))
        bench.port.forget(key)

    async def test_what_it_begins_with_is_told_to_whoever_listens(
        self, bench: AudioBench, kind: str
    ) -> None:
        device = await bench.make(kind, is_muted=bench.port.abilities.has_frames)
        state = device.state
        assert isinstance(state, MicrophoneState if kind == "microphone" else SpeakerState)
        assert (state.device, state.failure) == (None, None)
        assert state.is_muted is bench.port.abilities.has_frames

    async def test_what_a_command_changes_is_told_before_it_returns(
        self, bench: AudioBench, device: Device
    ) -> None:
        for _ in range(2):  # it can be opened again
            await device.open()
            assert device.name == bench.world.first
            await device.close()
            assert device.name is None
            assert device.state.failure is None
            await device.close()

    async def test_all_that_is_told_is_a_value_and_no_batch_is_empty(self, device: Device) -> None:
        await device.open()
        await device.close()
        assert all(device.batches)
        assert pickle.loads(pickle.dumps(device.told)) == device.told

    async def test_who_stops_listening_is_told_nothing_more(self, device: Device) -> None:
        device.stop()
        device.stop()
        told = len(device.batches)
        await device.open()
        assert len(device.batches) == told

    async def test_what_is_awaited_is_told_as_away_until_it_is_there(
        self, bench: AudioBench, device: Device
    ) -> None:
        await bench.world.take_away()
        device.order(AwaitDevice())
        await device.open()
        away = await device.until(lambda state: state.failure is not None)
        assert away.device is None
        await bench.world.bring_back()
        there = await device.until(lambda state: state.device is not None)
        assert (there.device.name, there.failure) == (bench.world.first, None)
        await device.close()
        await bench.world.take_away()  # once
        await refusal(device.open())
        await bench.world.bring_back()

    async def test_one_opening_at_a_time(self, bench: AudioBench, device: Device) -> None:
        await device.open()
        assert (await refusal(device.open())).reason is ConflictReason.ALREADY
        assert device.name == bench.world.first

    async def test_closed_for_good_it_is_not_opened_again(
        self, bench: AudioBench, device: Device
    ) -> None:
        await device.open()
        await device.close(for_good=True)
        assert device.name is None
        for command in (device.open(), device.use(bench.world.second)):
            assert (await refusal(command)).reason is ConflictReason.CLOSED
        await device.close()

    async def test_what_is_being_opened_is_closed_for_good(self, device: Device) -> None:
        opening = asyncio.create_task(device.open())
        await asyncio.sleep(0)
        await device.close(for_good=True)
        await asyncio.wait({opening})
        assert device.name is None

    async def test_cancelling_the_opening_leaves_nothing_open(
        self, bench: AudioBench, device: Device
    ) -> None:
        opening = asyncio.create_task(device.open())
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait({opening})
        if not opening.cancelled():
            await device.close()  # it was quicker
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await device.open()
                except UTDStreamException as error:
                    assert error.code is UTDErrorCode.CONFLICT  # still being given back
                    await device.close()
                else:
                    break
        assert device.name == bench.world.first

    async def test_an_unknown_device_is_not_opened(self, bench: AudioBench, kind: str) -> None:
        device = await bench.make(kind, device="no such device")
        assert (await refusal(device.open())).code is UTDErrorCode.NOT_FOUND
        assert device.name is None
        await device.use(bench.world.second)  # while it is closed the next one is chosen
        await device.open()
        assert device.name == bench.world.second

    async def test_an_open_device_is_swapped_or_says_that_it_is_not(
        self, bench: AudioBench, device: Device, kind: str
    ) -> None:
        await device.open()
        if kind == "microphone" or bench.port.abilities.has_frames:
            await device.use(bench.world.second)
            assert device.name == bench.world.second
            assert (await refusal(device.use("no such device"))).code is UTDErrorCode.NOT_FOUND
            assert device.name == bench.world.second
        else:
            refused = await refusal(device.use(bench.world.second))
            assert refused.code is UTDErrorCode.FEATURE_DISABLED
            assert device.name == bench.world.first

    async def test_orders_are_carried_out_in_turn_and_told(self, bench: AudioBench) -> None:
        microphone, speaker = await bench.make("microphone"), await bench.make("speaker")
        for gain in (0.5, 0.25):
            microphone.order(SetGain(gain))
            speaker.order(SetVolume(gain))
        for device in (microphone, speaker):
            device.order(SetMuted(True))
            device.order(Flush())
        microphone.order(SetVolume(4.0))  # which makes no sense for it
        if bench.port.abilities.has_frames:
            heard = await microphone.until(lambda state: state.is_muted)
            played = await speaker.until(lambda state: state.is_muted)
            assert (heard.gain, played.volume) == (0.25, 0.25)

    async def test_frames_come_in_batches_while_somebody_listens(self, bench: AudioBench) -> None:
        if not bench.port.abilities.has_frames:
            pytest.skip("this port has no frames")
        device = await bench.make("microphone")
        came = Batches[AudioFrame]()
        stop = bench.port.hear(device.key, came.take)
        await device.open()
        frame = await came.until(lambda one: np.any(one.samples), stir=bench.world.sound)
        assert frame.samples.dtype == np.int16
        assert len(frame.samples) * 100 == frame.sample_rate
        device.order(SetMuted(True))
        await came.until(
            lambda one: not np.any(one.samples), after=len(came.told), stir=bench.world.sound
        )
        assert all(came.batches)
        stop()
        told = len(came.batches)
        await device.close()
        assert len(came.batches) == told

    async def test_a_device_that_is_lost_is_a_failure_until_it_is_back(
        self, bench: AudioBench, device: Device
    ) -> None:
        await device.open()
        await bench.world.lose()
        lost = await device.until(lambda state: state.failure is not None)
        assert (lost.device, lost.failure.code) == (None, UTDErrorCode.NOT_FOUND)
        assert lost.statistics.lost == 1
        await bench.world.bring_back()
        back = device.told.index(lost)
        await device.until(lambda state: state.failure is None and state in device.told[back + 1 :])
        assert device.name == bench.world.first

    async def test_what_is_alive_is_found_by_its_key(self, bench: AudioBench) -> None:
        microphone, speaker = await bench.make("microphone"), await bench.make("speaker")
        there: AudioInput = living.find(microphone.key)
        stream = await there.open(lambda frame: None)
        assert (await refusal(microphone.open())).reason is ConflictReason.ALREADY
        await stream.aclose()
        await stream.wait_ended()
        mouth: living.LivingSpeaker = living.find(speaker.key)
        if bench.port.abilities.has_frames:
            voice = mouth.voice("somebody", gain=0.5)
            assert voice.gain == 0.5
            voice.close()
        else:
            with pytest.raises(UTDStreamException) as raised:
                mouth.voice("somebody")
            assert raised.value.code is UTDErrorCode.FEATURE_DISABLED
