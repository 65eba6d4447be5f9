"""What PortAudio has not seen is looked for; without it one error says what to do."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from utd_rx.audio import devices, portaudio
from utd_rx.audio.devices import (
    AudioDevice,
    AudioDirection,
    find_device,
    list_devices,
)
from utd_rx.audio.microphone import Microphone, MicrophoneInput
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException


def device(name: str, direction: AudioDirection, is_default: bool = False) -> AudioDevice:
    return AudioDevice(f"{direction.value}:Test:{name}", name, direction, 2, 48_000, is_default)


INPUT, OUTPUT = AudioDirection.INPUT, AudioDirection.OUTPUT
USB = device("USB Headset", INPUT)
BUILT_IN = device("Built-in Microphone", INPUT, is_default=True)
USB_PRO = device("USB Headset Pro", INPUT)
LOUD = device("USB Loudspeaker", OUTPUT)
ALL = (LOUD, USB, BUILT_IN, USB_PRO)


@pytest.fixture(params=[ImportError("no module"), OSError("PortAudio library not found")])
def no_portaudio(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "sounddevice":
            raise request.param
        return original(name, *arguments, **keywords)

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)


@pytest.mark.usefixtures("no_portaudio")
async def test_without_portaudio_every_way_in_gives_the_same_clear_error() -> None:
    microphone, speaker = Microphone(), Speaker()
    for attempt in (list_devices, portaudio.load):
        with pytest.raises(UTDStreamException) as caught:
            attempt()
        assert caught.value.is_feature_disabled
        assert "install" in caught.value.message
    for opening in (microphone.open(lambda frame: None), speaker.open()):
        with pytest.raises(UTDStreamException) as caught:
            await opening
        assert caught.value.is_feature_disabled
    # Nothing is stuck: it can be tried again once PortAudio is there.
    with pytest.raises(UTDStreamException) as caught:
        await microphone.open(lambda frame: None)
    assert caught.value.is_feature_disabled
    await microphone.aclose()
    await speaker.aclose()


class FakePortAudio:
    """What PortAudio found when it was started, and what is there now."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *there: AudioDevice) -> None:
        self.known: tuple[AudioDevice, ...] = (BUILT_IN, LOUD)
        self.there = there
        self.restarts = 0
        monkeypatch.setattr(portaudio, "load", lambda: None)
        monkeypatch.setattr(portaudio, "known", lambda: self.known)
        monkeypatch.setattr(portaudio, "restart", self.restart)
        monkeypatch.setattr(devices, "look", lambda max_age=0.0: self.there)

    def restart(self) -> None:
        self.restarts += 1
        self.known = self.there


def test_listing_restarts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart ends the streams that the app itself has opened by `sounddevice`."""
    fake = FakePortAudio(monkeypatch, *ALL)
    assert list_devices() == ALL
    assert list_devices(OUTPUT) == (LOUD,)
    assert fake.restarts == 0


def test_portaudio_is_restarted_only_for_a_device_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakePortAudio(monkeypatch, *ALL)
    assert find_device("built", INPUT) is BUILT_IN
    with pytest.raises(UTDStreamException):
        find_device("bluetooth", INPUT)
    assert fake.restarts == 0
    assert find_device("pro", INPUT) is USB_PRO
    assert fake.restarts == 1


@pytest.mark.parametrize(
    ("takes", "expected"),
    [
        ({(48_000, 1), (48_000, 2)}, (48_000, 1)),
        ({(44_100, 2), (48_000, 8)}, (44_100, 2)),
        ({(48_000, 8), (44_100, 8)}, (48_000, 8)),
        ({(44_100, 8)}, (44_100, 8)),
    ],
)
def test_a_device_is_opened_as_it_wants_to_be(
    monkeypatch: pytest.MonkeyPatch, takes: set[tuple[int, int]], expected: tuple[int, int]
) -> None:
    def stream(device: AudioDevice, rate: int, channels: int, *rest: Any) -> tuple[int, int]:
        if (rate, channels) not in takes:
            raise UTDStreamException("not so", code=UTDErrorCode.VALIDATION)
        return rate, channels

    monkeypatch.setattr(portaudio, "PortAudioStream", stream)
    card = AudioDevice("card", "card", INPUT, 8, 44_100, True)
    opened: Any = portaudio.open_stream(card, 48_000, 1, 0.01, lambda *a: None)
    assert opened == expected


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("Invalid sample rate", -9997), UTDErrorCode.VALIDATION),
        (("Illegal combination of I/O devices", -9993), UTDErrorCode.NOT_FOUND),
        (("Unanticipated host error", -9999, (8, -111, "refused")), UTDErrorCode.NOT_FOUND),
    ],
)
def test_a_device_that_does_not_open_is_not_one_that_refuses_a_format(
    arguments: tuple[Any, ...], code: UTDErrorCode
) -> None:
    error = portaudio.refusal(USB, 48_000, 1, OSError(*arguments))
    assert error.code is code
    assert "doctor" not in error.message  # which says it


def test_importing_loads_no_portaudio() -> None:
    code = (
        "import sys, utd_rx.audio.microphone, utd_rx.audio.speaker, utd_rx.audio.portaudio;"
        "print([m for m in sys.modules if m in ('sounddevice', '_sounddevice', 'soxr')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize("block", [0.0, 0.2, float("nan"), -0.005])
@pytest.mark.parametrize("side", [Microphone, MicrophoneInput, Speaker])
def test_a_block_out_of_range_is_a_typed_error(side: Any, block: float) -> None:
    with pytest.raises(UTDStreamException, match="block") as caught:
        side(block=block)
    assert caught.value.code is UTDErrorCode.VALIDATION
