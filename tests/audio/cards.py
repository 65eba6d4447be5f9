"""Devices whose callbacks a test makes, in the place of PortAudio's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from utd_rx.audio import lookout, portaudio, supervisor
from utd_rx.audio.capture import CaptureConnection, CaptureSide
from utd_rx.audio.playback import PlaybackConnection, PlaybackSide
from utd_rx.audio.ring import Ring
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat
from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceChoice

FORMAT = AudioFormat()
TIMEOUT = 10.0
NOISE = np.random.default_rng(1).integers(-9_000, 9_000, (480, 1)).astype(np.int16)


class FakeInput(CaptureConnection):
    """A device whose callbacks the test makes."""

    is_alive, is_closed = True, False

    @property
    def is_active(self) -> bool:
        return self.is_alive

    @property
    def is_displaced(self) -> bool:
        return False

    def close(self) -> None:
        self.is_closed = True

    def hears(self, frames: int) -> None:
        for _ in range(frames):
            self._hear(NOISE.tobytes(), len(NOISE), None, None)


class FakeOutput(PlaybackConnection):
    """A device that takes sound when the test says so."""

    is_alive, is_closed = True, False

    @property
    def is_active(self) -> bool:
        return self.is_alive

    @property
    def is_displaced(self) -> bool:
        return False

    def close(self) -> None:
        self.is_closed = True


class Cards:
    """All devices that were opened; none opens while `gate` is shut or `refusal` is set."""

    def __init__(self) -> None:
        self.inputs: list[FakeInput] = []
        self.outputs: list[FakeOutput] = []
        self.refusal: UTDStreamException | None = None
        self.gate = threading.Event()
        self.gate.set()

    def hear(self, side: CaptureSide, choice: DeviceChoice, wake: Callable[[], None]) -> FakeInput:
        device = self._device(choice, AudioDirection.INPUT)
        made = FakeInput.__new__(FakeInput)
        made.device, made.format, made.latency = device, FORMAT, 0.0
        made.flagged, made.beats, made.heard_at = 0, 0, 0.0
        made.ring, made._frame, made._wake = Ring(48_000, 1), 480, wake
        self.inputs.append(made)
        return made

    def play(
        self, side: PlaybackSide, choice: DeviceChoice, wake: Callable[[], None]
    ) -> FakeOutput:
        device = self._device(choice, AudioDirection.OUTPUT)
        made = FakeOutput.__new__(FakeOutput)
        made.device, made.format, made.latency, made.block = device, FORMAT, 0.0, 120
        made.flagged = made.beats = made.underrun = 0
        made.ring, made._wake = Ring(48_000, 1), wake
        self.outputs.append(made)
        return made

    def _device(self, choice: DeviceChoice, direction: AudioDirection) -> AudioDevice:
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
    monkeypatch.setattr(
        CaptureSide, "connect", lambda side, choice, wake: made.hear(side, choice, wake)
    )
    monkeypatch.setattr(
        PlaybackSide, "connect", lambda side, choice, wake: made.play(side, choice, wake)
    )
    listed = tuple(
        AudioDevice(name, name, way, 1, 48_000, True)
        for way in AudioDirection
        for name in ("card", "first")
    )
    monkeypatch.setattr(lookout, "look", lambda max_age=0.0: listed)
    monkeypatch.setattr(portaudio, "restart", lambda: None)
    monkeypatch.setattr(supervisor, "RETRY", 0.0)
    yield made
    made.gate.set()
    opened: list[FakeInput | FakeOutput] = [*made.inputs, *made.outputs]
    assert all(one.is_closed for one in opened)
