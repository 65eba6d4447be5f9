"""Frames of sound in a ring: written on any thread, read in batches on one loop.

A slot holds 10 ms of 48 kHz and one channel, and a longer frame takes several in a row, which are
there together or not at all. The ring is made when the first frame tells how large it has to be,
for a second of such; it is made anew for frames that need more. So who does not read has a second
waiting at most, the newest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

import numpy as np

from utd_rx.media.loop_reader import Announce, LoopReader
from utd_rx.media.ring import BODY, Octets, RingReader, RingShape, RingWriter
from utd_rx.media.ring_filling import RingFilling
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples

SAMPLES: Final = AudioFormat().samples_per_frame
MAX_WORD: Final = 2**32 - 1
MAX_HALF: Final = 2**16 - 1

STRIDE: Final = BODY + 2 * SAMPLES

_HEAD: Final = struct.Struct("=dIIHHH?")
"""When it was captured, its rate, samples and channels, how many slots it takes, which of them this
is, and whether the samples were left out."""

MOST_PARTS: Final = 800
"""Slots of one frame: a second of 192 kHz and two channels. What is longer can be sent nowhere, and
crosses without its samples, so that it is refused by whom it would be anyway."""

MOST_SLOTS: Final = 8 * MOST_PARTS
"""Of one ring, 6.5 MB."""


_NONE: Final[Samples] = np.zeros((0, SAMPLES), np.int16)


class FrameWriter(RingFilling):
    """Writes frames of sound into a ring, on any thread, and never waits or raises."""

    def __init__(self, announce: Announce) -> None:
        super().__init__(announce)
        self._sounds: Samples = _NONE  # of its slots
        self._kind = (0, 0, 0)  # of the last frame
        self._lost = 0  # in rings that are gone, or were not to be had

    @property
    def lost(self) -> int:
        """Slots that were overwritten before they were read, or not to be had."""
        with self._lock:
            return self._lost + (0 if self._ring is None else self._ring.lost)

    def write(self, frames: Sequence[AudioFrame]) -> None:
        """Write frames, in order; nothing after `close`."""
        with self._lock:
            if self._is_closed:
                return
            for frame in frames:
                self._write(frame)
            if self._ring is not None:
                self._ring.ring()

    def _write(self, frame: AudioFrame) -> None:
        samples, rate = frame.samples, frame.sample_rate
        count, channels = samples.shape
        parts = -(-samples.size // SAMPLES) or 1
        sound = samples.reshape(-1)
        is_hollow = parts > MOST_PARTS or rate > MAX_WORD or channels > MAX_HALF
        if is_hollow:
            sound, parts = sound[:0], 1
            rate, count, channels = (
                min(rate, MAX_WORD),
                min(count, MAX_WORD),
                min(channels, MAX_HALF),
            )
        if (ring := self._room_for(parts, rate, count)) is None:
            self._lost += parts
            return
        places = ring.begin(parts)
        begin = 0
        for part, place in enumerate(places):
            slot = place % ring.shape.slots
            head = (frame.at, rate, count, channels, parts, part, is_hollow)
            _HEAD.pack_into(ring.slots.data, slot * STRIDE + 8, *head)
            piece = sound[begin : begin + SAMPLES]
            self._sounds[slot, : len(piece)] = piece
            begin += SAMPLES
        ring.end(places)

    def _room_for(self, parts: int, rate: int, count: int) -> RingWriter | None:
        """Return a ring that holds a second of frames like this."""
        ring, kind = self._ring, (parts, rate, count)
        if ring is not None and kind == self._kind:
            return ring
        self._kind = kind
        a_second = parts * -(-rate // count) if count else 0
        wanted = max(2 * parts, min(a_second, MOST_SLOTS))
        if ring is None or ring.shape.slots < wanted:
            ring = self._make(RingShape(wanted, STRIDE))
            if ring is not None:
                self._sounds = ring.slots[:, BODY:].view(np.int16)
        return ring

    def _leave(self) -> None:
        """Let go of the ring, and keep what it has counted."""
        if (ring := self._ring) is not None:
            ring.ring()
            self._lost += ring.lost
            self._sounds = _NONE
        super()._leave()


class FrameReader(LoopReader[tuple[AudioFrame, ...]]):
    """Gives frames of sound to `sink` on this loop, what has come in one batch.

    `lost` counts slots that were overwritten before they were read.
    """

    takes: ClassVar[str] = "frames"

    def deliver(self, ring: RingReader) -> None:
        """Give on what has come."""
        if frames := tuple(_frames(ring.take())):
            self._sink(frames)


def _frames(slots: Octets) -> Iterator[AudioFrame]:
    """Read whole frames, which are views, and leave out those whose beginning is missing."""
    sounds = slots[:, BODY:].view(np.int16)
    end = 0
    for begin in range(len(slots)):
        head = _HEAD.unpack_from(slots.data, begin * STRIDE + 8)
        at, rate, count, channels, parts, part, is_hollow = head
        if begin < end or part or not rate or begin + parts > len(slots):
            continue
        end = begin + parts
        size = count * channels
        if is_hollow:
            samples = np.broadcast_to(np.int16(0), (count, channels))
        elif size > parts * SAMPLES:
            continue
        elif parts == 1:
            samples = sounds[begin, :size].reshape(count, channels)
        else:
            samples = sounds[begin:end].reshape(-1)[:size].reshape(count, channels)
            samples.flags.writeable = False
        yield AudioFrame(samples, rate, at)
