"""`FakeAudio`: an audio port whose devices a test plugs in, speaks into and listens to.

What happens to sound is what happens on a real device, gain, mute, levels, voice activity and mix;
only the device is none: it hears what `say` was given, and plays into memory, 10 ms at a time by
the clock. Voice processing is told and not done.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import numpy as np

from utd_rx.audio.hearing import HearingDevice
from utd_rx.audio.playing import PlayingDevice
from utd_rx.audio.supervised import SupervisedDevice
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFrame, FrameSink, Samples
from utd_rx.models.devices import (
    AudioDevice,
    AudioDirection,
    DeviceChoice,
    DeviceKey,
    choose_device,
)
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.ports.audio import Abilities
from utd_rx.ports.clock import SYSTEM_CLOCK, Cancel, Clock
from utd_rx.ports.local import LocalAudio


def fake_device(name: str, direction: AudioDirection, *, is_default: bool = False) -> AudioDevice:
    """Return a device to plug in, whose id says what it is."""
    return AudioDevice(f"{direction.value}:{name}", name, direction, 1, 48_000, is_default)


class FakeAudio(LocalAudio):
    """An audio port without devices; hand it to `Microphone(backend=)` and `Speaker(backend=)`.

    Args:
        clock: Paces the sound; a `FakeClock` in most tests.
        devices: What is plugged in to begin with; "first", the default, and "second" of either
            direction, when nothing else is said.
    """

    def __init__(
        self, clock: Clock = SYSTEM_CLOCK, devices: tuple[AudioDevice, ...] | None = None
    ) -> None:
        self.clock = clock
        self.devices = devices or tuple(
            fake_device(name, direction, is_default=name == "first")
            for direction in AudioDirection
            for name in ("first", "second")
        )
        self._said: dict[str, Samples] = {}
        super().__init__(
            Abilities("fake"),
            partial(FakeMicrophone, self),
            partial(FakeSpeaker, self),
        )

    def say(self, samples: Samples, device: DeviceChoice = None) -> None:
        """Let a device that hears hear this next, and silence when it is over.

        Args:
            samples: int16 `(samples, channels)`, in the format of whoever hears it.
            device: Which; None for the default.
        """
        self._said[self.choose(device, AudioDirection.INPUT).id] = samples

    def played(self, key: DeviceKey) -> Samples:
        """Return all that a speaker has played, int16 `(samples, channels)`."""
        speaker: FakeSpeaker = living.find(key)
        silence: Samples = np.zeros((0, speaker.format.channels), np.int16)
        return np.concatenate([silence, *speaker.pieces])

    def unplug(self, device: DeviceChoice, direction: AudioDirection) -> None:
        """Take a device away: who uses it has a failure until it is plugged in again."""
        gone = self.choose(device, direction)
        self.devices = tuple(other for other in self.devices if other.id != gone.id)
        for there in self._virtual():
            there.unplugged(gone)

    def plug_in(self, device: AudioDevice) -> None:
        """Bring a device; who has lost it goes on."""
        self.devices = (*self.devices, device)
        for there in self._virtual():
            there.plugged_in(device)

    def choose(self, choice: DeviceChoice, direction: AudioDirection) -> AudioDevice:
        """Return what is meant by `choice`.

        Raises:
            UTDStreamException: As `choose_device`.
        """
        return choose_device(self.devices, choice, direction)

    def hears(self, device: AudioDevice, count: int, channels: int) -> Samples:
        """Take the next samples that a device hears."""
        said = self._said.get(device.id, np.zeros((0, channels), np.int16))
        self._said[device.id] = said[count:]
        return np.pad(said[:count], ((0, max(0, count - len(said))), (0, 0)))

    def _virtual(self) -> list[_Virtual]:
        return [there for there in self._devices.values() if isinstance(there, _Virtual)]


class _Virtual(SupervisedDevice[Any]):
    """A device that works once in 10 ms of the clock, instead of a card's."""

    direction: ClassVar[AudioDirection]

    _device: AudioDevice | None = None
    _lost: AudioDevice | None = None
    _is_searching = False
    _began_at = 0.0
    _worked = 0
    _cancel: Cancel | None = None

    def __init__(self, fake: FakeAudio, *wishes: Any) -> None:
        super().__init__(*wishes)
        self.fake = fake

    def unplugged(self, device: AudioDevice) -> None:
        """Fail, if this was in use."""
        if self._device is None or self._device.id != device.id:
            return
        self._stop()
        self._lost = device
        self._lost_before += 1
        failure = UTDStreamException(f"{device.name} stopped", code=UTDErrorCode.NOT_FOUND)
        self._report(None, failure)

    def plugged_in(self, device: AudioDevice) -> None:
        """Go on, if this was lost."""
        if self._lost is not None and self._lost.id == device.id:
            self._run(device)
        elif self._is_searching:
            with suppress(UTDStreamException):  # it is another one
                self._run(self.fake.choose(self.settings.device, self.direction))

    async def _begin(self, sink: FrameSink) -> None:
        is_awaited = self._take_awaited()
        try:
            self._run(self.fake.choose(self.settings.device, self.direction))
        except UTDStreamException as error:
            if not is_awaited:
                raise
            self._is_searching = True
            self._report(None, error)

    async def _swap(self, device: DeviceChoice) -> None:
        self._run(self.fake.choose(device, self.direction))

    async def _end(self) -> None:
        self._stop()
        self.teller.post(statistics=self._statistics())

    def _work(self, device: AudioDevice, at: float) -> None:
        raise NotImplementedError

    def _run(self, device: AudioDevice) -> None:
        self._stop()
        self._device, self._began_at, self._worked = device, self.fake.clock.now(), 0
        self._wait()
        self._report(device, None)

    def _stop(self) -> None:
        if self._cancel is not None:
            self._cancel()
        self._device = self._lost = self._cancel = None
        self._is_searching = False

    def _wait(self) -> None:
        # A little early, so that ten times 0.1 s are a second.
        due = self._began_at + (self._worked + 1) / FRAMES_PER_SECOND
        self._cancel = self.fake.clock.call_at(due - 1e-9, self._tick)

    def _tick(self) -> None:
        if self._device is not None:
            at = self._began_at + self._worked / FRAMES_PER_SECOND
            self._worked += 1
            self._wait()
            self._work(self._device, at)


class FakeMicrophone(_Virtual, HearingDevice):
    """Hears what its device is told to hear."""

    direction = AudioDirection.INPUT

    async def process(self, processing: VoiceProcessing) -> None:
        """Say that the voice is processed like that."""
        await self._ready()
        self.teller.post(processing=processing)

    async def _begin(self, sink: FrameSink) -> None:
        self.begin(sink)
        await super()._begin(sink)

    def _work(self, device: AudioDevice, at: float) -> None:
        size, channels = self.format.samples_per_frame, self.format.channels
        samples = self.fake.hears(device, size, channels)
        samples.flags.writeable = False
        self.take(AudioFrame(samples, self.format.sample_rate, at))


class FakeSpeaker(_Virtual, PlayingDevice):
    """Plays into memory."""

    direction = AudioDirection.OUTPUT

    def __init__(self, fake: FakeAudio, *wishes: Any) -> None:
        super().__init__(fake, *wishes)
        self.pieces: list[Samples] = []

    def _work(self, device: AudioDevice, at: float) -> None:
        self.pieces.append(self.mixer.pull(self.format.samples_per_frame))
        self._played(self.pieces[-1])
