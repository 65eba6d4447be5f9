"""How far a voice has come, in memory that both processes share: written there, read when asked.

Nobody waits for word of it, so the ring has no bell rung, and the newest is all that is read. It is
a message only where there is no ring, or the other end does not read it yet.
"""

from __future__ import annotations

import struct
import threading
from contextlib import suppress
from typing import ClassVar, Final

from utd_rx.media.hosted_speaker import VoiceProgress
from utd_rx.media.loop_reader import RingTaker
from utd_rx.media.ring import LINE, Octets, RingReader, RingShape
from utd_rx.media.ring_filling import RingFilling

SLOTS: Final = 4
"""As `levels.SLOTS`."""

_PROGRESS: Final = struct.Struct("=Qddd")
"""As in a `VoiceProgress`; after a slot's number."""


class ProgressWriter(RingFilling):
    """Writes how far a voice has come, on any thread, and never waits or raises."""

    def write(self, told: VoiceProgress) -> bool:
        """Write it, nothing after `close`; return whether the other end reads it."""
        with self._lock:
            if self._is_closed:
                return True
            if (ring := self._ring or self._make(RingShape(SLOTS, LINE))) is None:
                return False
            places = ring.begin()
            at = places.start % SLOTS * LINE + 8
            words = told.flushes, told.fed, told.position, told.waiting
            _PROGRESS.pack_into(ring.slots.data, at, *words)
            ring.end(places)
            return ring.is_waited_for


class ProgressReader(RingTaker):
    """How far one voice has come, for whoever asks, on any thread."""

    takes: ClassVar[str] = "progress"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ring: RingReader | None = None
        self._newest = VoiceProgress()
        self._is_over = False

    @property
    def newest(self) -> VoiceProgress:
        """What was written last; once it has finished, what was then."""
        with self._lock:
            return self._look()

    def __call__(self, came: VoiceProgress) -> None:
        """Take what came as a message; in the ring is what is newer."""
        with self._lock:
            if self._ring is None and not self._is_over:
                self._newest = came

    def attach(self, shape: RingShape, memory: int, bell: int) -> None:
        """See `RingTaker`; where it cannot be mapped, messages go on coming."""
        with self._lock, suppress(OSError):  # no descriptor is left
            ring = RingReader(shape, memory, bell)
            if self._is_over:
                ring.close()
            else:
                self._ring = ring
                ring.wait()

    def finish(self) -> None:
        """See `RingTaker`."""
        with self._lock:
            self._look()
            self._is_over = True
            ring, self._ring = self._ring, None
            if ring is not None:
                ring.close()

    def _look(self) -> VoiceProgress:
        if (ring := self._ring) is not None:
            # Twice, as this thread may have stood still while it was overwritten.
            self._newest = ring.look(_read) or ring.look(_read) or self._newest
        return self._newest


def _read(slot: Octets) -> VoiceProgress:
    return VoiceProgress(*_PROGRESS.unpack_from(slot.data, 8))
