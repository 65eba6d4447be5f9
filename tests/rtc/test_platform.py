"""WebRTC's one device module: held side by side, refused twice, and closed with its last side."""

from __future__ import annotations

import pytest
from attrs import define, field

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.devices import AudioDevice, AudioDirection
from utd_rx.rtc.platform import PlatformModule

INPUT, OUTPUT = AudioDirection.INPUT, AudioDirection.OUTPUT


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
    assert [(one.id, one.name, one.is_default) for one in ear.devices()] == [
        ("0", "default: mic", True),
        ("1", "mic", False),
    ]
    assert {one.direction for one in ear.devices()} == {INPUT}
    assert [(one.name, one.direction) for one in mouth.devices()] == [("default: box", OUTPUT)]
    ear.select(ear.find("1"))
    mouth.select(mouth.find(None))
    assert sdk.selected == ["input 1", "output 0"]
    ear.close()
    ear.close()
    assert (sdk.opened, sdk.closed, module.is_held) == (1, 0, True)
    mouth.close()
    assert (sdk.opened, sdk.closed, module.is_held) == (1, 1, False)
    module.hold(INPUT).close()
    assert (sdk.opened, sdk.closed) == (2, 2)


@pytest.mark.parametrize("direction", AudioDirection)
def test_a_side_is_held_once(sdk: FakeSdk, direction: AudioDirection) -> None:
    module = PlatformModule()
    side = module.hold(direction)
    with pytest.raises(UTDStreamException, match="one device module per process") as caught:
        module.hold(direction)
    assert caught.value.reason is ConflictReason.BUSY
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
    assert not module.is_held


def test_a_device_that_is_gone_is_a_typed_error(sdk: FakeSdk) -> None:
    side = PlatformModule().hold(INPUT)
    with pytest.raises(UTDStreamException) as caught:
        side.select(AudioDevice("gone", "usb", INPUT, 1, 48_000, False))
    assert caught.value.code is UTDErrorCode.NOT_FOUND
    side.close()
