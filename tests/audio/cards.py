"""Devices whose callbacks a test makes, in the place of PortAudio's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import pytest

from utd_rx.audio import devices, portaudio
from utd_rx.audio.capture import CaptureConnection
from utd_rx.audio.playback import PlaybackConnection
from utd_rx.audio.portaudio import RealTimeCallback
from utd_rx.devices import supervisor
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat
from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceChoice

TIMEOUT = 10.0
NOISE = np.random.default_rng(1).integers(-9_000, 9_000, (480, 1)).astype(np.int16)


class FakeStream:
    """A PortAudio stream whose callbacks the test makes."""

    def __init__(
        self,
        device: AudioDevice,
        sample_rate: int,
        channels: int,
        block: float,
        callback: RealTimeCallback,
        latency: float = 0.0,
    ) -> None:
        self.device, self.sample_rate, self.channels = device, sample_rate, channels
        self.block, self.latency, self.callback = round(block * sample_rate), latency, callback
        self.is_active, self.is_displaced, self.is_closed = True, False, False

    def start(self) -> None:
        """Let the test make callbacks."""

    def close(self) -> None:
        self.is_closed = True

    def hears(self, frames: int) -> None:
        for _ in range(frames):
            self.callback(NOISE.tobytes(), len(NOISE), None, None)


class Cards:
    """All devices that were opened; none opens while `gate` is shut or `refusal` is set."""

    def __init__(self) -> None:
        self.inputs: list[FakeStream] = []
        self.outputs: list[FakeStream] = []
        self.refusal: UTDStreamException | None = None
        self.gate = threading.Event()
        self.gate.set()

    def open(self, device: AudioDevice, *rest: Any) -> FakeStream:
        made = FakeStream(device, *rest)
        is_input = device.direction is AudioDirection.INPUT
        (self.inputs if is_input else self.outputs).append(made)
        return made

    def find(self, choice: DeviceChoice, direction: AudioDirection) -> AudioDevice:
        self.gate.wait(TIMEOUT)
        if self.refusal is not None:
            raise self.refusal
        if choice == "no such device":
            raise UTDStreamException("there is none", code=UTDErrorCode.NOT_FOUND)
        name = choice.name if isinstance(choice, AudioDevice) else str(choice)
        return AudioDevice(name, name, direction, 1, 48_000, True)


@contextmanager
def fake_cards(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    """Let every device that is opened be one of these; in the end all of them must be closed."""
    made = Cards()
    monkeypatch.setattr(devices, "find_device", made.find)
    monkeypatch.setattr(portaudio, "open_stream", made.open)
    listed = tuple(
        AudioDevice(name, name, way, 1, 48_000, True)
        for way in AudioDirection
        for name in ("card", "first")
    )
    monkeypatch.setattr(devices, "look", lambda max_age=0.0: listed)
    monkeypatch.setattr(portaudio, "restart", lambda: None)
    monkeypatch.setattr(supervisor, "RETRY", 0.0)
    yield made
    made.gate.set()
    assert all(one.is_closed for one in (*made.inputs, *made.outputs))


C = TypeVar("C", CaptureConnection, PlaybackConnection)


def connect(
    kind: type[C], sample_rate: int, channels: int, block: float, latency: float = 0.01
) -> C:
    """Return a connection without a device, of any rate: the callback's side is the test's."""
    direction = AudioDirection.INPUT if kind is CaptureConnection else AudioDirection.OUTPUT
    device = AudioDevice("card", "card", direction, channels, sample_rate, True)

    def opened(
        device: AudioDevice, rate: int, count: int, block: float, callback: RealTimeCallback
    ) -> FakeStream:
        return FakeStream(device, sample_rate, channels, block, callback, latency)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(portaudio, "open_stream", opened)
        return kind(device, AudioFormat(), block, lambda: None)
