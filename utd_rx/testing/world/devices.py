"""Microphones and cameras of a world: they deliver what they are told to, and else nothing.

So time passes for nothing while nobody speaks, however many microphones are open. A device with
everything that belongs to one (its gain, its level, being unplugged) is a `Microphone` or `Speaker`
with `backend=FakeAudio(clock)`, and costs what its sound costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import numpy as np

from utd_rx.audio.sources import ToneSource
from utd_rx.errors import invalid
from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFormat, AudioFrame, Samples, is_pcm
from utd_rx.models.checks import number
from utd_rx.models.video import Pixels, VideoFormat, VideoFrame

F = TypeVar("F")

VOICE: Final = ToneSource(440.0, level_dbfs=-12.0)
"""What somebody says who is told for how long only: loud enough to be an active speaker."""


class VirtualDevice(Generic[F]):
    """What microphone and camera have in common: any number of openings."""

    def __init__(self) -> None:
        self._sinks: dict[object, Callable[[F], None]] = {}

    @property
    def is_open(self) -> bool:
        """Whether anybody hears or sees what it delivers."""
        return bool(self._sinks)

    async def open(self, sink: Callable[[F], None]) -> DeviceOpening:
        """Deliver to `sink` from now on, on the loop. Cancelling is safe: it does not wait."""
        key = object()
        self._sinks[key] = sink
        return DeviceOpening(lambda: self._sinks.pop(key, None))

    def _deliver(self, frame: F) -> None:
        for sink in tuple(self._sinks.values()):
            sink(frame)


class DeviceOpening:
    """One opening, whose only end is that it is closed."""

    def __init__(self, close: Callable[[], object]) -> None:
        self._close = close
        self._ended = asyncio.Event()

    async def wait_ended(self) -> None:
        """Wait until it is closed. Cancelling is safe."""
        await self._ended.wait()

    async def aclose(self) -> None:
        """Deliver nothing more. Idempotent."""
        self._close()
        self._ended.set()


class VirtualMicrophone(VirtualDevice[AudioFrame]):
    """A microphone, an `AudioInput`, in a quiet room: it hears what `say` says.

    Args:
        format: Of what it hears; 48 kHz, mono, when none is given.
    """

    def __init__(self, format: AudioFormat | None = None) -> None:  # noqa: A002 - AudioInput's word
        super().__init__()
        self.format = format or VOICE.format
        self._speaking = asyncio.Lock()

    async def say(self, sound: float | Samples = 1.0) -> None:
        """Let it hear something, and return when that is over; one after the other.

        Args:
            sound: Seconds of a tone, 0.01 to 3600; or int16 `(samples, channels)` in its format,
                the last frame of which is filled up with silence.

        Cancelling is safe: the rest is not said.

        Raises:
            UTDStreamException: `VALIDATION`: it is neither.
        """
        samples = self._tone(sound) if isinstance(sound, int | float) else sound
        if not is_pcm(samples) or samples.shape[1] != self.format.channels:
            raise invalid(f"what is said is seconds, or int16 of (n, {self.format.channels})")
        size, loop = self.format.samples_per_frame, asyncio.get_running_loop()
        async with self._speaking:
            began_at = loop.time()
            for index, begin in enumerate(range(0, len(samples), size)):
                piece = samples[begin : begin + size]
                if len(piece) < size:
                    piece = np.pad(piece, ((0, size - len(piece)), (0, 0)))
                at = began_at + index / FRAMES_PER_SECOND
                self._deliver(AudioFrame(piece, self.format.sample_rate, at))
                await asyncio.sleep(at + 1 / FRAMES_PER_SECOND - loop.time())

    def _tone(self, seconds: float) -> Samples:
        length = number(seconds, "what is said takes from 0.01 to 3600 s", 0.01, 3600.0)
        rate = self.format.sample_rate
        amplitude = 32_768 * 10 ** (VOICE.level_dbfs / 20)
        turns = np.arange(round(length * rate)) * (VOICE.frequency / rate)
        wave: Any = np.rint(amplitude * np.sin(2 * np.pi * (turns % 1.0))).astype(np.int16)
        return np.repeat(wave[:, np.newaxis], self.format.channels, axis=1)


class VirtualCamera(VirtualDevice[VideoFrame]):
    """A camera, a `VideoInput`, with its lid on: it sees what `show` shows.

    Args:
        format: What it says of its pictures, which may be of any size; 640×360 when none is given.
    """

    def __init__(self, format: VideoFormat | None = None) -> None:  # noqa: A002 - VideoInput's word
        super().__init__()
        self.format = format or VideoFormat()

    async def show(self, pixels: Pixels) -> None:
        """Let it see one picture, now; does not wait.

        Args:
            pixels: uint8 RGB, shape `(height, width, 3)`.

        Raises:
            UTDStreamException: `VALIDATION`: they are none.
        """
        self._deliver(VideoFrame(pixels, asyncio.get_running_loop().time()))
