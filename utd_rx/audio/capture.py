"""From a device to frames of 10 ms: the hearing side of `utd_rx.devices.supervisor`.

PortAudio's callback cuts frames out of the block it brings, or else leaves it in a ring, and the
supervisor's thread does. What is older than `MAX_CATCH_UP` in the ring after a stall is skipped and
counted, so it never becomes delay.
"""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from utd_rx.audio.connection import DeviceConnection, DeviceSide
from utd_rx.audio.convert import Converter, cut
from utd_rx.models.audio import FRAMES_PER_SECOND, AudioFormat, FrameSink, Samples
from utd_rx.models.devices import AudioDirection

RING_SECONDS: Final = 0.2  # that a stall may pile up before blocks are dropped
MAX_CATCH_UP: Final = 0.06
"""Seconds of sound handed on at once after a stall; as much as `rtc.feeder.BURST` lets through, and
whole packets, so that those to come end with a block."""


class CaptureConnection(DeviceConnection):
    """An input device that runs; what it hears waits in a ring."""

    direction = AudioDirection.INPUT
    ring_seconds = RING_SECONDS

    @property
    def faults(self) -> int:
        """Blocks the device lost, and samples nobody took in time."""
        return self.ring.overrun + self.flagged

    def _prepare(self) -> None:
        self.heard_at = time.monotonic()  # when the last block came
        self._frame = self.format.sample_rate // FRAMES_PER_SECOND

    def callback(self, data: Any, count: int, at: Any, flags: Any) -> None:
        """See `DeviceConnection.callback`."""
        ring = self.ring
        self.flagged += bool(flags)
        block: Samples | None = np.frombuffer(data, np.int16).reshape(count, -1)
        self.heard_at = time.monotonic()
        self.beats += 1
        if not ring.depth:
            block = self._have_work_done(block)
        if block is not None:  # nobody could take it at once
            ring.write(block)
            if ring.depth >= self._frame:
                self.wake()

    def take(self) -> Samples:
        """Return what was heard, a copy; whoever cuts."""
        block = self._at_hand
        if block is not None and self._is_at_once:
            self._at_hand = None
            return block.copy()
        waiting = np.empty((self.ring.depth, self.format.channels), np.int16)
        return waiting[: self.ring.read_into(waiting)]


class CaptureSide(DeviceSide[CaptureConnection]):
    """Cuts what the device hears into frames of one format, on one thread at a time.

    `skipped` counts samples of the device, `block` is in seconds.
    """

    kind = CaptureConnection

    def __init__(self, audio_format: AudioFormat, block: float, sink: FrameSink) -> None:
        super().__init__(audio_format, block)
        self._sink = sink
        self._converter = Converter(audio_format, audio_format)
        self._rest: Samples = np.zeros((0, audio_format.channels), np.int16)
        self._held = 0.0
        self.skipped = 0

    @property
    def depth(self) -> float:
        """Seconds of sound that wait."""
        return self.waiting + len(self._rest) / self._format.sample_rate + self._held

    def adopt(self, connection: CaptureConnection | None) -> None:
        """Hear with this connection from now on; where `Converter` refuses, with the one before."""
        if connection is not None:
            self._converter = Converter(connection.format, self._format)
        super().adopt(connection)
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
        block = connection.take()
        converted = self._converter.push(block)
        self._held += len(block) / rate - len(converted) / self._format.sample_rate
        sound = np.concatenate([self._rest, converted]) if len(self._rest) else converted
        began_at = heard_at - self._held - len(sound) / self._format.sample_rate
        frames, rest = cut(sound, self._format, began_at)
        for frame in frames:
            self._sink(frame)
        self._rest = rest
