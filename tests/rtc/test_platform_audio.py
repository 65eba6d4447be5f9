"""The platform backend's state, against a fake module: the same as ever, or an honest refusal."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define

from tests.rtc.platform_module import DEVICES, FakeModule
from utd_rx.audio.microphone import Microphone, MicrophoneInput
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.devices import AudioDevice, AudioDirection
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.rtc import platform_audio
from utd_rx.rtc.platform_audio import (
    ABILITIES,
    RESTART_LOOKS,
    SILENT_LOOKS,
    STARTING_LOOKS,
    PlatformStream,
)

PROCESSING = VoiceProcessing(
    echo_cancellation=True, noise_suppression=True, gain_control=True, high_pass=True
)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> FakeModule:
    fake = FakeModule()
    fake.gate.set()
    monkeypatch.setattr(platform_audio, "module", lambda: fake)
    return fake


@define
class Entry:
    """What LiveKit tells of a track's source."""

    total_samples_duration: float

    @property
    def media_source(self) -> Entry:
        return self

    @property
    def audio(self) -> Entry:
        return self

    def WhichOneof(self, name: str) -> str:
        return "media_source"


class FakeTrack:
    """A published track; each look at it is answered by the next of `heard`."""

    def __init__(self, *heard: float | Exception | None) -> None:
        self.muted = False
        self.calls: list[str] = []
        self.restarts: list[int] = []
        self.looks = 0
        self.done = asyncio.Event()
        self._heard = list(heard)

    def mute(self) -> None:
        self.muted = True
        self.calls.append("mute")
        self.restarts.append(self.looks)

    def unmute(self) -> None:
        self.muted = False
        self.calls.append("unmute")

    async def get_stats(self) -> list[Entry]:
        if self.looks == len(self._heard):
            self.done.set()
            await asyncio.Event().wait()  # for ever
        self.looks += 1
        heard = self._heard[self.looks - 1]
        if isinstance(heard, Exception):
            raise heard
        return [] if heard is None else [Entry(heard)]


async def opened(microphone: Microphone) -> PlatformStream:
    stream = await microphone.open(lambda frame: None)
    assert isinstance(stream, PlatformStream)
    return stream


def attach(stream: PlatformStream, track: FakeTrack) -> None:
    stream.attach(track)  # type: ignore[arg-type]


async def test_a_microphone_shows_its_device_and_lets_go_of_it(module: FakeModule) -> None:
    microphone = Microphone("usb", backend="platform")
    assert microphone.abilities == ABILITIES
    stream = await opened(microphone)
    assert microphone.device.value is not None
    assert microphone.device.value.name == "usb"
    assert microphone.processing.value == PROCESSING
    (side,) = module.sides
    assert (side.direction, side.selected) == (AudioDirection.INPUT, ["usb"])
    with pytest.raises(UTDStreamException) as caught:
        await microphone.open(lambda frame: None)
    assert caught.value.code is UTDErrorCode.CONFLICT
    await stream.aclose()
    await stream.aclose()
    await stream.wait_ended()
    assert side.is_closed
    assert microphone.device.value is None
    await microphone.use(None)  # while it is closed the next one is chosen
    await opened(microphone)
    assert module.sides[1].selected == []  # the system's default is followed, not picked
    await microphone.aclose()
    assert module.sides[1].is_closed


async def test_a_microphone_is_swapped_while_it_is_open(module: FakeModule) -> None:
    microphone, track = Microphone(backend="platform"), FakeTrack()
    stream = await opened(microphone)
    for published, choice in ((False, "usb"), (True, None), (True, "usb")):
        if published:
            attach(stream, track)
        await microphone.use(choice)
        expected = DEVICES[1 if choice else 0]
        assert module.sides[0].selected[-1] == expected.name
        assert microphone.device.value is not None
        assert microphone.device.value.name == expected.name
        with pytest.raises(UTDStreamException) as caught:
            await microphone.use("no such device")
        assert caught.value.code is UTDErrorCode.NOT_FOUND
        assert microphone.device.value.name == expected.name
    assert track.restarts == [0, 0]
    await stream.aclose()
    await microphone.aclose()


async def test_a_speaker_shows_its_device_and_lets_go_of_it(module: FakeModule) -> None:
    async with Speaker("usb", backend="platform") as speaker:
        assert speaker.device.value is not None
        assert speaker.device.value.name == "usb"
        (side,) = module.sides
        assert (side.direction, side.selected) == (AudioDirection.OUTPUT, ["usb"])
        with pytest.raises(UTDStreamException) as caught:
            await speaker.open()
        assert caught.value.code is UTDErrorCode.CONFLICT
        with pytest.raises(UTDStreamException) as caught:
            await speaker.use(None)
        assert caught.value.code is UTDErrorCode.FEATURE_DISABLED
    assert side.is_closed
    assert speaker.device.value is None


@pytest.mark.parametrize(
    "use",
    [
        lambda m, s: m.frames,
        lambda m, s: m.level,
        lambda m, s: m.speaking,
        lambda m, s: m.set_gain(0.5),
        lambda m, s: m.mute(),
        lambda m, s: m.unmute(),
        lambda m, s: s.level,
        lambda m, s: s.position,
        lambda m, s: s.voice("sara"),
        lambda m, s: s.listen(lambda frame: None),
        lambda m, s: s.set_volume(0.5),
        lambda m, s: s.mute(),
        lambda m, s: s.unmute(),
        lambda m, s: s.flush(),
    ],
)
async def test_what_needs_frames_is_refused(use: Callable[[Microphone, Speaker], object]) -> None:
    microphone, speaker = Microphone(backend="platform"), Speaker(backend="platform")
    with pytest.raises(UTDStreamException, match="platform") as caught:
        use(microphone, speaker)
    assert caught.value.code is UTDErrorCode.FEATURE_DISABLED
    state = microphone.state.value
    assert (state.level, state.is_speaking, speaker.state.value.level) == (None, None, None)
    await microphone.aclose()
    await speaker.aclose()


async def test_processing_is_what_webrtc_does(module: FakeModule) -> None:
    microphone = Microphone(backend="platform", processing=PROCESSING)
    await microphone.set_processing(PROCESSING)
    for change in (VoiceProcessing(), VoiceProcessing(noise_suppression=True)):
        with pytest.raises(UTDStreamException) as caught:
            await microphone.set_processing(change)
        assert caught.value.code is UTDErrorCode.VALIDATION
        with pytest.raises(UTDStreamException):
            Microphone(backend="platform", processing=change)
    await microphone.aclose()


async def test_a_value_opens_the_platform_too(module: FakeModule) -> None:
    value = MicrophoneInput("usb", backend="platform")
    assert value.abilities == ABILITIES != MicrophoneInput().abilities
    assert pickle.loads(pickle.dumps(value)) == value
    stream = await value.open(lambda frame: None)
    assert module.sides[0].selected == ["usb"]
    await stream.aclose()
    assert module.sides[0].is_closed


async def test_pickled_here_it_is_the_same_microphone(module: FakeModule) -> None:
    microphone = Microphone("usb", backend="platform")
    crossed = pickle.loads(pickle.dumps(microphone))
    stream = await crossed.open(lambda frame: None)
    assert isinstance(stream, PlatformStream)
    assert microphone.device.value is not None
    await microphone.aclose()
    await stream.wait_ended()


def test_a_track_is_not_played_on_the_platforms_speaker() -> None:
    """WebRTC plays it by itself."""
    speaker = Speaker(backend="platform")
    there = living.find(speaker.key)
    uses: list[Callable[[], object]] = [
        lambda: there.voice("sara"),
        lambda: there.listen(print),
        lambda: there.position,
    ]
    for use in uses:
        with pytest.raises(UTDStreamException) as caught:
            use()
        assert caught.value.code is UTDErrorCode.FEATURE_DISABLED


async def test_the_source_is_closed_before_the_device(module: FakeModule) -> None:
    microphone = Microphone(backend="platform")
    stream = await opened(microphone)
    assert stream.source is stream.source
    (source,) = module.sides[0].made
    await stream.aclose()
    assert source.is_closed
    await microphone.aclose()


@pytest.mark.parametrize("make", [Microphone, Speaker, MicrophoneInput])
def test_another_backend_is_an_error(make: Any) -> None:
    with pytest.raises(ValueError, match="alsa"):
        make(backend="alsa")


async def test_cancelling_the_opening_holds_nothing(module: FakeModule) -> None:
    microphone = Microphone(backend="platform")
    module.gate.clear()
    opening = asyncio.create_task(microphone.open(lambda frame: None))
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait({opening})
    assert opening.cancelled()
    module.gate.set()
    while not (module.sides and module.sides[0].is_closed):  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0)
    assert microphone.device.value is None
    await microphone.aclose()


@pytest.mark.parametrize("make", [Microphone, Speaker])
async def test_closing_while_it_opens_holds_nothing(
    module: FakeModule, make: type[Microphone] | type[Speaker]
) -> None:
    side = make(backend="platform")
    module.gate.clear()
    opening = asyncio.create_task(
        side.open() if isinstance(side, Speaker) else side.open(lambda frame: None)
    )
    await asyncio.sleep(0)
    closing = asyncio.create_task(side.aclose())
    await asyncio.sleep(0)
    module.gate.set()
    await asyncio.wait_for(closing, 10)
    assert module.sides[0].is_closed
    with pytest.raises(UTDStreamException) as caught:
        await opening
    assert caught.value.reason is ConflictReason.CLOSED
    assert side.device.value is None


async def test_a_choice_made_while_it_opens_is_the_one_that_counts(module: FakeModule) -> None:
    microphone = Microphone(backend="platform")
    module.gate.clear()
    opening = asyncio.create_task(microphone.open(lambda frame: None))
    await asyncio.sleep(0)
    choosing = asyncio.create_task(microphone.use("usb"))
    await asyncio.sleep(0)
    module.gate.set()
    await asyncio.wait_for(asyncio.gather(opening, choosing), 10)
    assert module.sides[0].selected == ["usb"]
    assert microphone.device.value is not None
    assert microphone.device.value.name == "usb"
    await microphone.aclose()


async def test_deaths_are_counted_over_all_openings(
    module: FakeModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform_audio, "WATCH", 0.0)
    microphone = Microphone(backend="platform")
    for number in (1, 2):
        stream = await opened(microphone)
        attach(stream, FakeTrack(*[0.0] * STARTING_LOOKS))
        await microphone.statistics.until(lambda told: told.lost == number, timeout=10)  # noqa: B023
        await stream.aclose()
    await microphone.aclose()


async def test_a_choice_that_fits_nothing_holds_nothing(module: FakeModule) -> None:
    microphone = Microphone("no such device", backend="platform")
    with pytest.raises(UTDStreamException, match="built-in") as caught:
        await microphone.open(lambda frame: None)
    assert caught.value.code is UTDErrorCode.NOT_FOUND
    assert module.sides[0].is_closed
    await microphone.aclose()


# -- the watch ----------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform_audio, "WATCH", 0.0)


async def watched(track: FakeTrack, module: FakeModule) -> list[tuple[UTDErrorCode | None, bool]]:
    """Return failure and presence of the device after each change, until the track is done."""
    microphone = Microphone(backend="platform")
    stream = await opened(microphone)
    seen: list[tuple[UTDErrorCode | None, bool]] = []
    microphone.state.subscribe(
        lambda s: seen.append((s.failure.code if s.failure else None, s.device is not None))
    )
    attach(stream, track)
    await track.done.wait()
    await stream.aclose()
    await microphone.aclose()
    return list(dict.fromkeys(seen[:-1]))


@pytest.mark.usefixtures("at_once")
async def test_sound_that_flows_is_no_failure(module: FakeModule) -> None:
    track = FakeTrack(*[None] * 20, 0.0, 0.0, 0.5, 1.0, None, 1.5, 1.5, 2.0)
    assert await watched(track, module) == [(None, True)]
    assert not track.restarts


@pytest.mark.usefixtures("at_once")
async def test_a_device_that_died_is_told_and_restarted_until_it_is_back(
    module: FakeModule,
) -> None:
    still = SILENT_LOOKS + 2 * RESTART_LOOKS
    track = FakeTrack(0.5, *[0.5] * still, 0.6, 0.7)
    changes = await watched(track, module)
    assert changes == [(None, True), (UTDErrorCode.NOT_FOUND, False)]  # and the first one again
    first = 1 + SILENT_LOOKS
    assert track.restarts == [first, first + RESTART_LOOKS, first + 2 * RESTART_LOOKS]


@pytest.mark.usefixtures("at_once")
async def test_a_device_that_never_sounds_is_told_too(module: FakeModule) -> None:
    track = FakeTrack(*[0.0] * STARTING_LOOKS)
    assert await watched(track, module) == [(None, True), (UTDErrorCode.NOT_FOUND, False)]


@pytest.mark.usefixtures("at_once")
async def test_the_rooms_mute_shows_and_is_no_failure(module: FakeModule) -> None:
    microphone, track = Microphone(backend="platform"), FakeTrack(0.5)
    stream = await opened(microphone)
    stream.mute_changed()  # before there is a track
    attach(stream, track)
    track.muted = True
    stream.mute_changed()
    assert microphone.muted.value
    for _ in range(10 * STARTING_LOOKS):
        await asyncio.sleep(0)
    assert microphone.failure.value is None
    assert track.looks == 0
    track.muted = False  # by the server, which nobody tells
    await microphone.muted.until(False, timeout=10)
    await stream.aclose()
    await microphone.aclose()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("answer", [None, RuntimeError("track is gone")])
async def test_what_nobody_can_tell_is_no_failure(
    module: FakeModule, answer: Exception | None
) -> None:
    track = FakeTrack(*[answer] * (2 * STARTING_LOOKS))
    assert await watched(track, module) == [(None, True)]


async def test_a_swap_closes_and_opens_the_device_but_unmutes_nobody(
    module: FakeModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    microphone, track = Microphone(backend="platform"), FakeTrack()
    attach(await opened(microphone), track)
    await microphone.use("usb")
    assert track.calls == ["mute", "unmute"]
    track.muted = True
    await microphone.use(None)
    assert track.calls == ["mute", "unmute"]
    track.muted = False

    def refuse(device: AudioDevice) -> None:
        raise UTDStreamException("not while it records", code=UTDErrorCode.NOT_FOUND)

    monkeypatch.setattr(module.sides[0], "select", refuse)
    with pytest.raises(UTDStreamException):
        await microphone.use("usb")
    assert track.calls == ["mute", "unmute"] * 2  # it is open again
    await microphone.aclose()
