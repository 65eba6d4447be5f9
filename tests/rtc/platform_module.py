"""WebRTC's device module without WebRTC: sides to hold and devices to choose."""

from __future__ import annotations

import threading

import pytest
from attrs import define, evolve, field

from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceChoice, choose_device
from utd_rx.rtc import platform_audio

DEVICES = (
    AudioDevice("0", "default: built-in", AudioDirection.INPUT, 1, 48_000, True),
    AudioDevice("1", "usb", AudioDirection.INPUT, 1, 48_000, False),
)


@define(slots=False)
class FakeSide:
    """One side of a module."""

    direction: AudioDirection
    selected: list[str] = field(factory=list)
    is_closed: bool = False
    made: list[FakeSide] = field(factory=list)

    def find(self, choice: DeviceChoice) -> AudioDevice:
        there = [evolve(device, direction=self.direction) for device in DEVICES]
        return choose_device(there, choice, self.direction)

    def select(self, device: AudioDevice) -> None:
        self.selected.append(device.name)

    def make_source(self) -> FakeSide:
        self.made.append(FakeSide(self.direction))
        return self.made[-1]

    def close(self) -> None:
        self.is_closed = True


@define
class FakeModule:
    sides: list[FakeSide] = field(factory=list)
    gate: threading.Event = field(factory=threading.Event)

    def hold(self, direction: AudioDirection) -> FakeSide:
        self.gate.wait(10)
        self.sides.append(FakeSide(direction))
        return self.sides[-1]


def patched_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the adapter use a fake whose sides are held at once."""
    module = FakeModule()
    module.gate.set()
    monkeypatch.setattr(platform_audio, "module", lambda: module)
