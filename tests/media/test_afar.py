"""An app opens a microphone and speaks on a speaker that live in the media process, as if here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.contracts.test_audio_port import FakeWorld
from tests.media.test_lending import until
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.mixer import Mixer
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.media import afar_speaker
from utd_rx.media.afar import AfarAudio, UnplacedDevice
from utd_rx.media.afar_speaker import AfarVoice
from utd_rx.media.hosted_speaker import VoiceProgress
from utd_rx.media.lending import travels
from utd_rx.media.near_audio import NearAudio
from utd_rx.media.process import MediaProcess
from utd_rx.models.audio import AudioFormat, AudioFrame
from utd_rx.models.device_state import SpeakerState, SpeakerStatistics
from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceKey
from utd_rx.ports import living
from utd_rx.ports.audio import Abilities, AudioPort, SpeakerSettings
from utd_rx.ports.crossing import Teller
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.contracts import refusal
from utd_rx.testing.contracts.audio import AudioBench, AudioContract

CARD = AudioDevice("card", "card", AudioDirection.OUTPUT, 1, 48_000, is_default=True)
GONE = UTDStreamException("killed", code=UTDErrorCode.NETWORK)


def frame(seconds: float = 0.01) -> AudioFrame:
    return AudioFrame(np.full((round(seconds * 48_000), 1), 5_000, np.int16), 48_000)


class Mouth:
    """A speaker that is alive "over there", whose mix a test pulls."""

    def __init__(self) -> None:
        self.key = DeviceKey("speaker")
        self.mixer = Mixer(AudioFormat(), 0.01)
        self.teller = Teller(SpeakerState(device=CARD))
        self.sink: Callable[[AudioFrame], None] | None = None
        self.failure: UTDStreamException | None = None
        living.enter(self.key, self)

    def voice(self, name: str, *, gain: float, margin: float | None) -> living.Voice:
        return self.mixer.add(name, gain, margin=margin)

    def listen(self, sink: Callable[[AudioFrame], None]) -> Callable[[], None]:
        self.sink = sink

        def stop() -> None:
            self.sink = None

        return stop

    @property
    def position(self) -> float:
        return self.mixer.position / 48_000

    def play(self, seconds: float) -> int:
        """Pull so much of the mix, and return how loud it was."""
        loud = max(int(np.abs(self.mixer.pull(480)).max()) for _ in range(round(100 * seconds)))
        self.teller.post(statistics=SpeakerStatistics())
        return loud

    def port(self, near: object, shape: type, factory: str, key: object, *args: Any) -> Any:
        """Be the media process as well."""
        if self.failure is not None:
            raise self.failure
        assert factory == f"utd_rx.media.hosted_speaker:{shape.__name__}"
        return shape(self.key, *args)


class TestAfarAudio(AudioContract):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[AudioBench]:
        world = FakeWorld()
        bench = AudioBench(AfarAudio(world.audio), world)
        yield bench
        await bench.close()


async def test_a_microphone_is_opened_with_a_sink_until_whoever_closes_it() -> None:
    world, came = FakeWorld(), list[AudioFrame]()
    microphone = Microphone(backend=AfarAudio(world.audio))
    for close in ("the stream", "the microphone"):
        stream = await microphone.open(came.append)
        assert (await refusal(microphone.open(came.append))).reason is ConflictReason.ALREADY
        while not came:
            await world.sound()
            await asyncio.sleep(0)
        await (stream.aclose() if close == "the stream" else microphone.aclose())
        await stream.wait_ended()
        came.clear()
        await world.sound()
        await asyncio.sleep(0)
        assert came == []


async def test_a_microphone_of_the_media_process_is_a_value_there_and_none_of_the_apps() -> None:
    afar, here = AfarAudio(FakeWorld().audio), FakeWorld().audio
    assert travels(Microphone(backend=afar).key)
    assert not travels(Microphone(backend=here).key)


async def test_what_is_said_is_played_there_and_told_how_far_it_is() -> None:
    there, afar = Mouth(), AfarAudio(FakeAudio())
    afar.attach(there)
    speaker = Speaker(backend=afar)
    voice = speaker.voice("agent", gain=0.5, margin=0.0)
    [mixed] = there.mixer.voices
    for _ in range(3):
        voice(frame(0.5))
    assert voice.waiting == 1.5
    assert there.play(0.5) == 2_500
    await until(lambda: voice.position == 0.5)
    assert voice.waiting == 1.0
    voice.gain = 2.0
    assert mixed.gain == 2.0
    voice.flush()
    assert voice.waiting == 0.0
    voice(frame(0.25))
    assert voice.waiting == 0.25
    there.play(0.5)
    await until(lambda: voice.waiting == 0.0)
    voice.close()
    voice.close()
    voice(frame())
    assert voice.waiting == 0.0
    assert there.mixer.voices == ()
    with pytest.raises(UTDStreamException):
        speaker.voice("agent", margin=1.0)


class Deaf:
    """A media process that stands still: it takes nothing, and says nothing."""

    def __init__(self) -> None:
        self.fed = 0
        self.told: Callable[[VoiceProgress], None] = lambda progress: None

    def listen(self, told: Callable[[VoiceProgress], None]) -> Callable[[], None]:
        self.told = told
        return lambda: None

    def follow(self, told: object) -> Callable[[], None]:
        return lambda: None

    def feed(self, *_: object) -> None:
        self.fed += 1

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_what_a_process_that_stands_still_is_fed_is_bounded_and_counted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(afar_speaker, "MAX_AHEAD", 2.0)
    deaf = Deaf()
    voice = AfarVoice(lambda gain: deaf)
    voice.attach()
    for _ in range(5):
        voice(frame(0.5))
        voice.flush()
    assert (deaf.fed, voice.dropped) == (4, 24_000)
    voice(frame(0.5))
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    deaf.told(VoiceProgress(flushes=5))
    voice(frame(0.5))
    assert (deaf.fed, voice.waiting) == (5, 0.5)


async def test_a_voice_of_before_there_is_a_process_is_one_voice_in_it() -> None:
    there = Mouth()
    afar = AfarAudio(FakeAudio(), begin=lambda: afar.attach(there))
    speaker = Speaker(backend=afar)
    voice = speaker.voice("agent")
    assert len(there.mixer.voices) == 1
    voice.close()


async def test_how_far_a_speaker_is_goes_on_through_processes() -> None:
    first, second, afar = Mouth(), Mouth(), AfarAudio(FakeAudio())
    speaker = Speaker(backend=afar)
    assert speaker.position == 0.0
    afar.attach(first)
    await asyncio.sleep(0)  # it is told that it is open
    first.play(1.0)
    await until(lambda: speaker.position > 1.0)
    first.teller.post(device=None)
    await until(lambda: speaker.position == 1.0)
    afar.lost(GONE)
    assert speaker.position == 1.0
    afar.attach(second)
    await asyncio.sleep(0)
    second.play(0.5)
    await until(lambda: speaker.position >= 1.5)
    afar.lost(GONE)


async def test_how_far_a_speaker_was_seen_is_where_it_goes_on() -> None:
    """A process that died in the middle of it: neither back, nor on by what it may have played."""
    there, afar = Mouth(), AfarAudio(FakeAudio())
    speaker = Speaker(backend=afar)
    afar.attach(there)
    await asyncio.sleep(0)
    there.play(1.0)
    await until(lambda: speaker.position > 1.0)
    seen = speaker.position
    afar.lost(GONE)
    assert speaker.position == seen


async def test_what_a_speaker_plays_is_heard_here() -> None:
    there, afar, came = Mouth(), AfarAudio(FakeAudio()), list[AudioFrame]()
    afar.attach(there)
    speaker = Speaker(backend=afar)
    stop = speaker.listen(came.append)
    assert there.sink is not None
    there.sink(frame())
    stop()
    assert len(came) == 1
    assert there.sink is None


async def test_what_is_heard_of_a_speaker_is_heard_on_in_the_process_that_follows() -> None:
    first, second, afar, came = Mouth(), Mouth(), AfarAudio(FakeAudio()), list[AudioFrame]()
    speaker = Speaker(backend=afar)
    stop = speaker.listen(came.append)  # before there is one
    afar.attach(first)
    assert first.sink is not None
    first.sink(frame())
    afar.lost(GONE)
    assert first.sink is None
    afar.attach(second)
    assert second.sink is not None
    second.sink(frame())
    stop()
    stop()
    assert len(came) == 2
    assert second.sink is None
    afar.attach(first)
    assert first.sink is None
    afar.lost(GONE)


async def test_what_begins_in_a_process_that_has_just_died_is_in_the_next_one() -> None:
    dead, there, afar, came = Mouth(), Mouth(), AfarAudio(FakeAudio()), list[AudioFrame]()
    speaker = Speaker(backend=afar)
    afar.attach(dead)
    dead.failure = GONE  # which nobody is told yet
    stop, voice = speaker.listen(came.append), speaker.voice("agent", margin=0.0)
    afar.lost(GONE)
    afar.attach(there)
    assert there.sink is not None
    there.sink(frame())
    voice(frame())
    assert (len(came), there.play(0.01)) == (1, 5_000)
    stop()
    voice.close()
    afar.lost(GONE)


@pytest.mark.parametrize("is_after_death", [False, True])
async def test_what_is_played_there_is_heard_by_who_listens_without_a_loop(
    is_after_death: bool,
) -> None:
    there, afar, came = Mouth(), AfarAudio(FakeAudio()), list[AudioFrame]()
    speaker = Speaker(backend=afar)
    afar.attach(Mouth() if is_after_death else there)
    stop = await asyncio.to_thread(speaker.listen, came.append)
    if is_after_death:
        afar.lost(GONE)
        afar.attach(there)
    assert there.sink is not None
    there.sink(frame())
    await asyncio.to_thread(stop)
    assert len(came) == 1
    assert there.sink is None
    afar.lost(GONE)


async def test_a_device_is_put_somewhere_when_something_is_wanted_of_it() -> None:
    there, key = Mouth(), DeviceKey("speaker")
    placed: list[AfarAudio] = []

    def place() -> bool:
        placed.append(AfarAudio(FakeAudio()))
        placed[-1].attach(there)
        placed[-1].add(key, SpeakerSettings())
        return True

    unplaced = UnplacedDevice(key, place)
    voice = living.find(key).voice("agent", margin=0.0)
    voice(frame())
    assert there.play(0.01) == 5_000
    assert len(placed) == 1
    assert not living.is_here(key)
    assert living.find(key) is not unplaced
    placed[0].forget(key)
    voice.close()


async def test_what_is_not_to_be_had_there_is_said() -> None:
    silent = FakeAudio()
    silent.abilities = Abilities("platform", has_frames=False)
    reaches: list[tuple[AudioPort, Callable[[Speaker], object]]] = [
        (silent, lambda speaker: speaker.position),
        (silent, lambda speaker: speaker.voice("agent")),
        (silent, lambda speaker: speaker.listen(print)),
    ]
    for port, reach in reaches:
        with pytest.raises(UTDStreamException) as raised:
            reach(Speaker(backend=AfarAudio(port)))
        assert raised.value.code is UTDErrorCode.FEATURE_DISABLED


async def test_an_app_speaks_on_a_speaker_in_a_process_and_opens_its_microphone() -> None:
    process = MediaProcess()
    near = partial(NearAudio, abilities=Abilities("fake"))
    afar = AfarAudio(process.port(near, AudioPort, "utd_rx.testing.audio:FakeAudio"))
    afar.attach(process)
    came, played, apart = list[AudioFrame](), list[AudioFrame](), list[AudioFrame]()
    speaker, microphone = Speaker(backend=afar), Microphone(backend=afar)
    await speaker.open()
    stops = (speaker.listen(played.append), await asyncio.to_thread(speaker.listen, apart.append))
    stream = await microphone.open(came.append)
    voice = speaker.voice("agent", margin=0.0)
    voice(frame(0.1))
    await until(lambda: came and voice.position == 0.1 and not voice.waiting)
    both = (played, apart)
    await until(lambda: all(any(one.samples.any() for one in heard) for heard in both))
    for stop in stops:
        stop()
    await stream.aclose()
    assert came[0].sample_rate == 48_000
    for device in (speaker, microphone):
        await device.aclose()
    await process.aclose()
