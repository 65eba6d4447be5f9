"""From a device to frames of 10 ms: the hearing side of `utd_rx.audio.supervisor`.

PortAudio's callback copies a block into a ring and rings the bell; the supervisor's thread cuts
frames out of it and hands them on. Should that thread have been kept away for long, the sound
older than `MAX_CATCH_UP` is skipped and counted, so a stall never becomes delay.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from utd_rx.audio import devices
from utd_rx.audio.connection import DeviceConnection
from utd_rx.audio.convert import Converter
from utd_rx.audio.supervisor import OpenDevice
from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.devices import AudioDirection, DeviceChoice

RING_SECONDS: Final = 0.2
"""What a stall of the interpreter may pile up before blocks are dropped."""

MAX_CATCH_UP: Final = 0.05
"""Seconds of sound handed on at once after a stall; as much as `rtc.feeder.BURST` lets through."""


class CaptureConnection(DeviceConnection):
    """An input device that runs; what it hears waits in a ring.

    Attributes:
        heard_at: When the last block came, in monotonic seconds.
    """

    ring_seconds = RING_SECONDS

    def _prepare(self) -> None:
        self.heard_at = time.monotonic()
        self._frame = self.format.sample_rate // FRAMES_PER_SECOND

    def callback(self, data: Any, count: int, at: Any, flags: Any) -> None:
        """See `DeviceConnection.callback`."""
        ring = self.ring
        self.flagged += bool(flags)
        ring.write(np.frombuffer(data, np.int16).reshape(count, -1))
        self.heard_at = time.monotonic()
        self.beats += 1
        if ring.depth >= self._frame:  # each wake-up of a thread costs a turn at the GIL
            self.wake()


class CaptureSide:
    """Cuts what the device hears into frames of one format, whatever the device's is.

    Attributes:
        skipped: Samples of the device skipped after a stall.

    Args:
        audio_format: Of the frames.
        block: Seconds per callback of the device.
        sink: Takes the frames, on the supervisor's thread.
    """

    def __init__(self, audio_format: AudioFormat, block: float, sink: FrameSink) -> None:
        self._format = audio_format
        self._block = block
        self._sink = sink
        self._connection: CaptureConnection | None = None
        self._converter = Converter(audio_format, audio_format)
        self._rest: Samples = np.zeros((0, audio_format.channels), np.int16)
        self._held = 0.0
        self._overruns_before = 0
        self.skipped = 0

    @property
    def overruns(self) -> int:
        """Blocks the device lost and samples nobody took in time, since the beginning."""
        connection = self._connection
        now = 0 if connection is None else connection.ring.overrun + connection.flagged
        return self._overruns_before + now

    @property
    def latency(self) -> float:
        """Seconds between the air and the callback, as PortAudio tells them."""
        return 0.0 if self._connection is None else self._connection.latency

    @property
    def depth(self) -> float:
        """Seconds of sound that wait."""
        connection = self._connection
        waiting = (
            0.0 if connection is None else connection.ring.depth / connection.format.sample_rate
        )
        return waiting + len(self._rest) / self._format.sample_rate + self._held

    def connect(self, choice: DeviceChoice, wake: Callable[[], None]) -> CaptureConnection:
        """Open the device."""
        device = devices.find_device(choice, AudioDirection.INPUT)
        return CaptureConnection(device, self._format, self._block, wake)

    def adopt(self, connection: OpenDevice | None) -> None:
        """Hear with this connection from now on.

        Raises:
            UTDStreamException: `FEATURE_DISABLED`, as `Converter`; it hears with the one before.
        """
        assert connection is None or isinstance(connection, CaptureConnection)
        if connection is not None:
            self._converter = Converter(connection.format, self._format)
        self._overruns_before = self.overruns
        self._connection = connection
        self._rest = self._rest[:0]  # another card's sound does not continue this one's
        self._held = 0.0

    def work(self) -> None:
        """Hand on every frame that is complete."""
        connection = self._connection
        if connection is None:
            return
        ring, rate = connection.ring, connection.format.sample_rate
        waiting, heard_at = ring.depth, connection.heard_at
        if waiting > MAX_CATCH_UP * rate:
            self.skipped += ring.skip(waiting - round(MAX_CATCH_UP * rate))
        block = np.empty((ring.depth, connection.format.channels), np.int16)
        block = block[: ring.read_into(block)]
        converted = self._converter.push(block)
        self._held += len(block) / rate - len(converted) / self._format.sample_rate
        sound = np.concatenate([self._rest, converted])
        size = self._format.samples_per_frame
        end = len(sound) - len(sound) % size
        for start in range(0, end, size):
            samples = sound[start : start + size]
            samples.flags.writeable = False
            at = heard_at - self._held - (len(sound) - start) / self._format.sample_rate
            self._sink(AudioFrame(samples, self._format.sample_rate, at))
        self._rest = sound[end:].copy()
