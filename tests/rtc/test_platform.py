"""WebRTC's one device module: held side by side, refused twice, and closed with its last side."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import define, field

from tests.rtc.bench import Party
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, FrameSink
from utd_rx.models.platform import (
    PlatformDevice,
    PlatformDirection,
    PlatformInput,
    PlatformTrack,
    platform_input,
)
from utd_rx.rtc import platform
from utd_rx.rtc.platform import PlatformModule, PlatformOutlet, PublishedTrack

INPUT, OUTPUT = PlatformDirection.INPUT, PlatformDirection.OUTPUT


@define
class Device:
    id: str
    name: str


@define
class FakeSdk:
    """Stands for `livekit.rtc`."""

    inputs: list[Device] = field(factory=lambda: [Device("0", "default: mic"), Device("1", "mic")])
    outputs: list[Device] = field(factory=lambda: [Device("0", "default: box")])
    is_broken: bool = False
    opened: int = 0
    closed: int = 0
    selected: list[str] = field(factory=list)
    PlatformAudioError: type[Exception] = LookupError

    def PlatformAudio(self) -> FakeSdk:
        if self.is_broken:
            raise self.PlatformAudioError("Failed to initialize platform audio")
        self.opened += 1
        return self

    def recording_devices(self) -> list[Device]:
        return self.inputs

    def playout_devices(self) -> list[Device]:
        return self.outputs

    def set_recording_device(self, name: str) -> None:
        if name == "gone":
            raise self.PlatformAudioError("Device not found")
        self.selected.append(f"input {name}")

    def set_playout_device(self, name: str) -> None:
        self.selected.append(f"output {name}")

    def create_audio_source(self) -> FakeSdk:
        return self

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> FakeSdk:
    fake = FakeSdk()
    monkeypatch.setattr("utd_rx.rtc.platform.native.sdk", lambda: fake)
    return fake


def test_both_sides_share_one_module_and_the_last_one_closes_it(sdk: FakeSdk) -> None:
    module = PlatformModule()
    assert not module.is_held
    ear, mouth = module.hold(INPUT), module.hold(OUTPUT)
    assert ear.devices() == (PlatformDevice("0", "default: mic"), PlatformDevice("1", "mic"))
    assert mouth.devices() == (PlatformDevice("0", "default: box"),)
    ear.select(PlatformDevice("1", "mic"))
    mouth.select(PlatformDevice("0", "box"))
    assert sdk.selected == ["input 1", "output 0"]
    ear.close()
    ear.close()
    assert (sdk.opened, sdk.closed, module.is_held) == (1, 0, True)
    mouth.close()
    assert (sdk.opened, sdk.closed, module.is_held) == (1, 1, False)
    module.hold(INPUT).close()
    assert (sdk.opened, sdk.closed) == (2, 2)


@pytest.mark.parametrize("direction", PlatformDirection)
def test_a_side_is_held_once(sdk: FakeSdk, direction: PlatformDirection) -> None:
    module = PlatformModule()
    side = module.hold(direction)
    with pytest.raises(UTDStreamException, match="one device module per process") as caught:
        module.hold(direction)
    assert caught.value.code is UTDErrorCode.CONFLICT
    assert module.is_held
    side.close()
    module.hold(direction).close()
    assert (sdk.opened, sdk.closed) == (2, 2)


@pytest.mark.parametrize("inputs", [[], [Device("0", "default: ")], [Device("0", "")]])
def test_no_device_is_a_typed_error_and_holds_nothing(sdk: FakeSdk, inputs: list[Device]) -> None:
    """After the end of its sound server the module knows a default without a name."""
    sdk.inputs, module = inputs, PlatformModule()
    with pytest.raises(UTDStreamException) as caught:
        module.hold(INPUT)
    assert caught.value.code is UTDErrorCode.NOT_FOUND
    assert not module.is_held
    assert sdk.closed == 1


def test_no_module_is_a_typed_error(sdk: FakeSdk, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk.is_broken, module = True, PlatformModule()
    with pytest.raises(UTDStreamException, match="pulseaudio --start") as caught:
        module.hold(INPUT)
    assert caught.value.code is UTDErrorCode.NOT_FOUND

    def fail() -> Any:
        raise ImportError("failed to load livekit_ffi")

    monkeypatch.setattr("utd_rx.rtc.platform.native.sdk", fail)
    with pytest.raises(UTDStreamException, match="pip install") as caught:
        module.hold(INPUT)
    assert caught.value.code is UTDErrorCode.FEATURE_DISABLED
    assert not module.is_held


def test_a_device_that_is_gone_is_a_typed_error(sdk: FakeSdk) -> None:
    side = PlatformModule().hold(INPUT)
    with pytest.raises(UTDStreamException) as caught:
        side.select(PlatformDevice("gone", "usb"))
    assert caught.value.code is UTDErrorCode.NOT_FOUND
    side.close()


async def test_a_source_needs_the_input_side(sdk: FakeSdk, monkeypatch: pytest.MonkeyPatch) -> None:
    module = PlatformModule()
    monkeypatch.setattr(platform, "module", lambda: module)
    mouth, outlet = module.hold(OUTPUT), PlatformOutlet()
    with pytest.raises(UTDStreamException) as caught:
        _ = outlet.source
    assert caught.value.code is UTDErrorCode.CONFLICT
    ear = platform.hold(INPUT)
    assert outlet.source is outlet.source
    await outlet.aclose()
    await outlet.aclose()
    assert sdk.closed == 1
    ear.close()
    mouth.close()


@define
class FakeTrack:
    muted: bool = False
    calls: list[str] = field(factory=list)
    stats: Any = ()

    def mute(self) -> None:
        self.calls.append("mute")

    def unmute(self) -> None:
        self.calls.append("unmute")

    async def get_stats(self) -> Any:
        if isinstance(self.stats, BaseException):
            raise self.stats
        return self.stats


async def test_a_restart_closes_and_opens_the_device_but_unmutes_nobody() -> None:
    track = FakeTrack()
    published: PlatformTrack = PublishedTrack(track)  # type: ignore[arg-type]

    def fail() -> None:
        track.calls.append("change")
        raise LookupError("gone")

    published.restart()
    with pytest.raises(LookupError):
        published.restart(fail)
    assert track.calls == ["mute", "unmute", "mute", "change", "unmute"]
    track.calls.clear()
    track.muted = True
    published.restart(lambda: track.calls.append("change"))
    assert published.is_muted
    assert track.calls == ["change"]


@pytest.mark.parametrize("stats", [(), RuntimeError("track is gone")])
async def test_what_nobody_can_tell_is_none(stats: Any) -> None:
    published = PublishedTrack(FakeTrack(stats=stats))  # type: ignore[arg-type]
    assert await published.heard() is None


@define
class Unheld:
    """Says that it is the platform's microphone, and holds no side of it."""

    platform: PlatformInput = PlatformInput()
    format: AudioFormat = AudioFormat()
    closed: asyncio.Event = field(factory=asyncio.Event)

    async def open(self, sink: FrameSink) -> Unheld:
        return self

    async def wait_ended(self) -> None:
        await self.closed.wait()

    async def aclose(self) -> None:
        self.closed.set()


async def test_a_microphone_that_is_not_held_is_not_published(party: Party) -> None:
    talker, _ = await party.join("talker")
    source = Unheld()
    assert platform_input(source) == PlatformInput()
    with pytest.raises(UTDStreamException) as caught:
        await talker.publish_audio(source)
    assert caught.value.code is UTDErrorCode.CONFLICT
    assert source.closed.is_set()
