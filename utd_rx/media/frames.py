"""Frames of sound in a ring: written on any thread, read in batches on one loop.

A slot holds 10 ms of 48 kHz and one channel, and a longer frame takes several in a row, which are
there together or not at all. The ring is made when the first frame tells how large it has to be,
for a second of such; it is made anew for frames that need more. So who does not read has a second
waiting at most, the newest.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from utd_rx.media.loop_reader import Announce, LoopReader
from utd_rx.media.ring import BODY, Octets, RingReader, RingShape, RingWriter
from utd_rx.models.audio import AudioFormat, AudioFrame

SAMPLES: Final = AudioFormat().samples_per_frame
MAX_WORD: Final = 2**32 - 1

STRIDE: Final = BODY + 2 * SAMPLES

_HEAD: Final = struct.Struct("=dIIHHH?")
"""When it was captured, its rate, samples and channels, how many slots it takes, which of them this
is, and whether the samples were left out."""

MOST_PARTS: Final = 800
"""Slots of one frame: a second of 192 kHz and two channels. What is longer can be sent nowhere, and
crosses without its samples, so that it is refused by whom it would be anyway."""

MOST_SLOTS: Final = 8 * MOST_PARTS
"""Of one ring, 6.5 MB."""


class FrameWriter:
    """Writes frames of sound into a ring, on any thread, and never waits or raises."""

    def __init__(self, announce: Announce) -> None:
        self._announce = announce
        self._lock = threading.Lock()
        self._ring: RingWriter | None = None
        self._is_closed = False

    def write(self, frames: Sequence[AudioFrame]) -> None:
        """Write frames, in order; nothing after `close`."""
        with self._lock:
            if self._is_closed:
                return
            for frame in frames:
                self._write(frame)
            if self._ring is not None:
                self._ring.ring()

    def close(self) -> None:
        """Let go of the ring. Idempotent."""
        with self._lock:
            self._is_closed = True
            if self._ring is not None:
                self._ring.close()

    def _write(self, frame: AudioFrame) -> None:
        count, channels = frame.samples.shape
        sound = np.ascontiguousarray(frame.samples).reshape(-1)
        parts = max(1, -(-len(sound) // SAMPLES))
        is_hollow = parts > MOST_PARTS
        if is_hollow:
            sound, parts = sound[:0], 1
        numbers = (min(frame.sample_rate, MAX_WORD), min(count, MAX_WORD), min(channels, 0xFFFF))
        ring = self._room_for(parts, frame.sample_rate / max(1, count))
        for part, slot in enumerate(ring.begin(parts)):
            _HEAD.pack_into(slot.data, 8, frame.at, *numbers, parts, part, is_hollow)
            piece = sound[part * SAMPLES : (part + 1) * SAMPLES]
            slot[BODY : BODY + piece.nbytes].view(np.int16)[:] = piece
        ring.end(parts)

    def _room_for(self, parts: int, rate: float) -> RingWriter:
        """Return a ring that holds a second of frames of so many slots, `rate` of them a second."""
        wanted = max(2 * parts, round(min(rate * parts, MOST_SLOTS)))
        ring = self._ring
        if ring is None or ring.shape.slots < wanted:
            if ring is not None:
                ring.ring()
                ring.close()
            ring = self._ring = RingWriter(RingShape(wanted, STRIDE))
            self._announce(ring.shape, ring.descriptors)
        return ring


class FrameReader(LoopReader[tuple[AudioFrame, ...]]):
    """Gives frames of sound to `sink` on this loop, what has come in one batch.

    `lost` counts slots that were overwritten before they were read.
    """

    def deliver(self, ring: RingReader) -> None:
        """Give on what has come."""
        if frames := tuple(_frames(ring.take())):
            self._sink(frames)


def _frames(slots: Octets) -> Iterator[AudioFrame]:
    """Read whole frames, which are views, and leave out those whose beginning is missing."""
    sounds = slots[:, BODY:].view(np.int16)
    end = 0
    for begin, slot in enumerate(slots):
        at, rate, count, channels, parts, part, is_hollow = _HEAD.unpack_from(slot.data, 8)
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
