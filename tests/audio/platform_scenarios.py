"""The platform backend on real cards, in real rooms; `test_platform_real` runs it.

Each in a process of its own: WebRTC opens its device module once and never recovers from the end of
its sound server, which other tests of a run bring about.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import numpy as np
import pytest
from livekit.rtc import SimulateScenarioKind

from tests.audio.cable import TIMEOUT, Heard
from tests.e2e.house import House
from tests.support.pulse import CABLE_A, CABLE_B, Bench
from tests.support.sfu import SfuKind
from utd_rx import Microphone, Speaker, UTDErrorCode, UTDStreamException, play
from utd_rx.audio import WavSource, level_dbfs, read_wav, speech_path
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.models.audio import Samples
from utd_rx.models.device_state import MicrophoneState
from utd_rx.models.events import Reconnected
from utd_rx.rtc.platform import module
from utd_rx.rtc.platform_audio import SILENT_LOOKS, WATCH
from utd_rx.rtc.room import UTDRoom
from utd_rx.testing.leaks import allow_platform_audio
from utd_rx.testing.sound import AudioComparison, compare

allow_platform_audio()

LOUD = -40.0
"""dBFS; the speech is 25 dB louder, and a cable is silent without it."""


@pytest.fixture
def cards(bench: Bench) -> Bench:
    """What goes into cable A is the platform's microphone; what it plays is in cable B."""
    bench.pactl("set-default-source", f"{CABLE_A}.monitor")
    bench.pactl("set-default-sink", CABLE_B)
    return bench


@pytest.fixture
async def house(sfu_kind: SfuKind) -> AsyncIterator[House]:
    options = EngineOptions(sfu=sfu_kind, silent_update_interval=0.1)
    async with LocalEngine(options) as engine, AsyncExitStack() as stack:
        yield House(engine, stack)


def plug_in_headset(bench: Bench) -> None:
    """Add a microphone of its own name, which nobody speaks into."""
    bench.pactl("load-module", "module-null-sink", "sink_name=quiet", "norewinds=1")
    bench.pactl(
        "load-module", "module-remap-source", "master=quiet.monitor", "source_name=headset",
        "source_properties=device.description=Headset",
    )  # fmt: skip


def recorders(bench: Bench) -> int:
    """Return how many streams WebRTC records with."""
    return bench.pactl("list", "source-outputs").count("WEBRTC VoiceEngine")


async def until_loud(frames: Heard) -> None:
    """Wait for 100 ms that are loud."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            begin = len(frames.frames)
            await frames.more(10)
            if level_of(frames, begin) > LOUD:
                return


async def until_silent(frames: Heard) -> None:
    """Wait for a second without a sound: the speech has no such pause, and Opus no other noise."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            begin = len(frames.frames)
            await frames.more(100)
            if level_of(frames, begin) < -70:
                return


def sound_of(frames: Heard, begin: int) -> Samples:
    return np.concatenate([frame.samples for frame in frames.frames[begin:]])


def level_of(frames: Heard, begin: int) -> float:
    return level_dbfs(sound_of(frames, begin))


async def whole(frames: Heard, sent: Samples) -> AudioComparison:
    """Compare with what comes next, the whole speech at least once."""
    await frames.more(100)  # jitter buffers and gain control settle
    begin = len(frames.frames)
    await frames.more(860)
    return compare(sent, sound_of(frames, begin), 48_000)


async def test_a_platform_microphone_is_heard_in_a_room(cards: Bench, house: House) -> None:
    microphone, card, far = Microphone(backend="platform"), Heard(), Heard()
    await house.join("hana", as_host=True, seat_count=8)
    talker = await house.join("sami", microphone=microphone)
    listener = await house.join("lena")
    mouth, ear = Speaker(CABLE_A), Microphone(CABLE_B)
    listener.audio("sami").subscribe(far)
    _, sent = read_wav(speech_path())
    async with mouth:
        recording = await ear.open(card)
        assert microphone.device.value is None
        await talker.take_seat(3)
        device = microphone.device.value
        assert device is not None
        assert "cable_a" in device.name
        assert microphone.failure.value is None

        # What is said into cable A comes to the other side, and out of the default card.
        speech = await WavSource(speech_path(), loop=True).open(mouth.voice("speech"))
        await until_loud(far)
        await until_loud(card)
        for compared in await asyncio.gather(*(whole(frames, sent) for frames in (far, card))):
            assert compared.is_match
            # Measured 0.68 and 0.76: processing and Opus leave that much, and turn the sign.
            assert abs(compared.correlation) > 0.4

        # There is one device module in a process.
        other = Microphone(backend="platform")
        for again in (other, microphone):
            with pytest.raises(UTDStreamException) as caught:
                await again.open(lambda frame: None)
            assert caught.value.code is UTDErrorCode.CONFLICT
        await other.aclose()
        with pytest.raises(UTDStreamException) as caught:
            play(talker, mouth)
        assert caught.value.code is UTDErrorCode.CONFLICT

        # The room mutes it, and then the device is closed.
        await talker.set_microphone(False)
        assert microphone.muted.value
        await until_silent(far)
        assert recorders(cards) == 0
        await talker.set_microphone(True)
        assert not microphone.muted.value
        await until_loud(far)
        assert recorders(cards) == 1

        # A stream that dies is told, and comes back.
        told: list[MicrophoneState] = []
        watching = microphone.state.subscribe(told.append)
        assert await asyncio.to_thread(cards.kill_streams, "source-output") == 2
        await microphone.state.until(
            lambda state: state.statistics.lost == 1 and state.failure is None, timeout=TIMEOUT
        )
        watching.dispose()
        assert any(state.failure is not None and state.device is None for state in told)
        assert microphone.device.value == device
        await until_loud(far)

        # It is swapped while it streams.
        plug_in_headset(cards)
        await microphone.use("headset")
        assert microphone.device.value is not None
        assert microphone.device.value.name == "Headset"
        await until_silent(far)
        await microphone.use(None)
        await until_loud(far)
        assert talker.microphone_enabled.value
        assert microphone.failure.value is None

        # Who stands up lets go of the device, and may take it again.
        await talker.leave_seat()
        await microphone.device.until(None, timeout=TIMEOUT)
        await until_silent(card)
        assert not module().is_held
        assert recorders(cards) == 0
        await talker.take_seat(2)
        assert microphone.device.value == device
        await until_loud(card)
        await speech.aclose()
        await recording.aclose()
        await talker.leave()
    assert not module().is_held
    for used in (ear, microphone):
        await used.aclose()


async def test_a_reconnect_and_a_hosts_mute_are_no_failures(cards: Bench, house: House) -> None:
    microphone, far, failures = Microphone(backend="platform"), Heard(), list[object]()
    microphone.failure.subscribe(failures.append)
    host = await house.join("hana", as_host=True, seat_count=8)
    talker = await house.join("sami", microphone=microphone)
    listener = await house.join("lena")
    listener.audio("sami").subscribe(far)
    async with Speaker(CABLE_A) as mouth:
        speech = await WavSource(speech_path(), loop=True).open(mouth.voice("speech"))
        await talker.take_seat(3)
        await until_loud(far)
        assert isinstance(talker.room, UTDRoom)
        assert talker.room.room is not None
        reconnected = asyncio.Event()
        talker.room.listen(
            lambda events: (
                reconnected.set()
                if any(isinstance(event, Reconnected) for event in events)
                else None
            )
        )
        await talker.room.room.simulate_scenario(SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
        await asyncio.wait_for(reconnected.wait(), TIMEOUT)
        await until_loud(far)
        assert microphone.device.value is not None

        # A mute by the host shows, and is neither taken for a dead device nor undone.
        await host.mute_seat(3)
        await microphone.muted.until(True, timeout=TIMEOUT)
        await until_silent(far)
        begin = len(far.frames)
        await far.more(2 * round(100 * WATCH * SILENT_LOOKS))
        assert level_of(far, begin) < -70
        assert microphone.muted.value
        assert failures == [None]
        await speech.aclose()
        await talker.leave()
    await microphone.aclose()


async def test_a_platform_speaker_plays_the_room(cards: Bench, house: House) -> None:
    card, ear, speaker = Heard(), Microphone(CABLE_B), Speaker(backend="platform")
    await house.join("hana", as_host=True, seat_count=8)
    talker, listener = await house.join("sami"), await house.join("lena")
    await talker.take_seat(1)
    recording = await ear.open(card)
    await card.more(100)
    assert not any(np.any(frame.samples) for frame in card.frames)
    async with speaker, play(listener, speaker) as playback:
        assert speaker.device.value is not None
        with pytest.raises(UTDStreamException) as caught:
            await Speaker(backend="platform").open()
        assert caught.value.code is UTDErrorCode.CONFLICT
        with pytest.raises(UTDStreamException) as caught:
            playback.set_gain("sami", 0.5)
        assert caught.value.code is UTDErrorCode.FEATURE_DISABLED
        await until_loud(card)
        # A microphone of the platform shares the module, and goes without taking it along.
        microphone = Microphone(backend="platform")
        stream = await microphone.open(lambda frame: None)
        await stream.aclose()
        assert module().is_held
        await until_loud(card)
    assert not module().is_held
    assert speaker.device.value is None
    await until_silent(card)
    await recording.aclose()
    for used in (ear, microphone):
        await used.aclose()


async def test_a_device_is_chosen_by_name(cards: Bench) -> None:
    plug_in_headset(cards)
    microphone = Microphone("headset", backend="platform")
    stream = await microphone.open(lambda frame: None)
    assert microphone.device.value is not None
    assert microphone.device.value.name == "Headset"
    await stream.aclose()
    await microphone.use("no such device")
    with pytest.raises(UTDStreamException) as caught:
        await microphone.open(lambda frame: None)
    assert caught.value.code is UTDErrorCode.NOT_FOUND
    assert "Headset" in caught.value.message
    assert not module().is_held
    await microphone.aclose()


async def test_without_a_sound_server_it_is_a_typed_error(cards: Bench) -> None:
    cards.stop_daemon()
    for device in (Microphone(backend="platform"), Speaker(backend="platform")):
        with pytest.raises(UTDStreamException) as caught:
            await (device.open() if isinstance(device, Speaker) else device.open(lambda _: None))
        assert caught.value.code is UTDErrorCode.NOT_FOUND
        assert "sound server" in caught.value.message
        await device.aclose()
