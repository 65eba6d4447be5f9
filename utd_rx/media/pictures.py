"""Pictures in a ring: written on any thread, the newest shown on one loop.

Three lie there, each whole: one that is being written, one that is being read, and one between, so
that a reader has the time of a picture to copy the newest. The ring is made as large as the first
picture is, and anew for a larger one.
"""

from __future__ import annotations

import struct
from typing import ClassVar, Final

from utd_rx.media.loop_reader import LoopReader
from utd_rx.media.ring import BODY, LINE, Octets, RingReader, RingShape, RingWriter
from utd_rx.media.ring_filling import RingFilling
from utd_rx.models.video import VideoFrame

SLOTS: Final = 3

_HEAD: Final = struct.Struct("=dHHH")
"""When it was taken, its width and height, and by how much it is to be turned."""


class PictureWriter(RingFilling):
    """Writes pictures into a ring, on any thread, and never waits or raises."""

    def write(self, frame: VideoFrame) -> None:
        """Write a picture; nothing after `close`."""
        with self._lock:
            size = frame.pixels.nbytes
            if self._is_closed or (ring := self._room_for(size)) is None:
                return
            places = ring.begin()
            slot = ring.slots[places.start % SLOTS]
            head = (frame.timestamp, frame.width, frame.height, frame.rotation)
            _HEAD.pack_into(slot.data, 8, *head)
            slot[BODY : BODY + size].reshape(frame.pixels.shape)[:] = frame.pixels
            ring.end(places)
            ring.ring()

    def _room_for(self, size: int) -> RingWriter | None:
        ring, stride = self._ring, BODY + -(-size // LINE) * LINE
        if ring is None or ring.shape.stride < stride:
            return self._make(RingShape(SLOTS, stride))
        return ring


class PictureReader(LoopReader[VideoFrame]):
    """Shows pictures to `sink` on this loop; those that came while the loop was busy, but for the
    newest, are left out."""

    takes: ClassVar[str] = "pictures"

    def deliver(self, ring: RingReader) -> None:
        """Show the newest that has come."""
        if copied := ring.look(_copy):
            (at, width, height, rotation), pixels = copied
            self._sink(VideoFrame(pixels.reshape(height, width, 3), at, rotation))


def _copy(slot: Octets) -> tuple[tuple[float, int, int, int], Octets]:
    head = _HEAD.unpack_from(slot.data, 8)
    return head, slot[BODY : BODY + 3 * head[1] * head[2]].copy()
