"""Devices are found by what people call them."""

from __future__ import annotations

import pytest

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceChoice, choose_device


def device(name: str, direction: AudioDirection, is_default: bool = False) -> AudioDevice:
    return AudioDevice(f"{direction.value}:Test:{name}", name, direction, 2, 48_000, is_default)


INPUT, OUTPUT = AudioDirection.INPUT, AudioDirection.OUTPUT
USB = device("USB Headset", INPUT)
BUILT_IN = device("Built-in Microphone", INPUT, is_default=True)
USB_PRO = device("USB Headset Pro", INPUT)
LOUD = device("USB Loudspeaker", OUTPUT)
ALL = (LOUD, USB, BUILT_IN, USB_PRO)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, BUILT_IN),
        (USB_PRO, USB_PRO),
        (USB.id, USB),
        ("USB Headset", USB),
        ("pro", USB_PRO),
        ("BUILT", BUILT_IN),
    ],
)
def test_a_device_is_chosen_by_itself_id_name_or_part(
    choice: DeviceChoice, expected: AudioDevice
) -> None:
    assert choose_device(ALL, choice, INPUT) is expected


def test_without_a_default_the_first_is_taken() -> None:
    assert choose_device((USB, USB_PRO), None, INPUT) is USB


@pytest.mark.parametrize(
    ("devices", "choice", "code", "words"),
    [
        (ALL, "usb", UTDErrorCode.VALIDATION, USB_PRO.id),
        (ALL, "bluetooth", UTDErrorCode.NOT_FOUND, "utd-rx devices"),
        (ALL, LOUD, UTDErrorCode.NOT_FOUND, "no input device"),
        ((LOUD,), None, UTDErrorCode.NOT_FOUND, "utd-rx doctor"),
    ],
)
def test_what_cannot_be_chosen_is_a_typed_error_that_says_what_to_do(
    devices: tuple[AudioDevice, ...], choice: DeviceChoice, code: UTDErrorCode, words: str
) -> None:
    with pytest.raises(UTDStreamException) as caught:
        choose_device(devices, choice, INPUT)
    assert caught.value.code is code
    assert words in caught.value.message
