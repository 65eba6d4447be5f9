"""What writes into a ring that is made when it is known how large, and anew for what needs more."""

from __future__ import annotations

import threading
from contextlib import suppress

from utd_rx.media.loop_reader import Announce
from utd_rx.media.ring import RingShape, RingWriter


class RingFilling:
    """One writer's rings, one after the other; a subclass says what lies in the slots.

    Any thread may write, with `_lock` held, and none waits or raises.
    """

    def __init__(self, announce: Announce) -> None:
        self._announce = announce
        self._lock = threading.Lock()
        self._ring: RingWriter | None = None
        self._is_closed = False

    def close(self) -> None:
        """Let go of the ring. Idempotent."""
        with self._lock:
            self._is_closed = True
            self._leave()

    def _make(self, shape: RingShape) -> RingWriter | None:
        """Go on with a ring of this shape; None where no descriptor is left for it, and who writes
        next tries again."""
        self._leave()
        with suppress(OSError):
            ring = RingWriter(shape)
            try:
                self._announce(shape, ring.descriptors)
            except OSError:
                ring.close()
                raise
            self._ring = ring
        return self._ring

    def _leave(self) -> None:
        """Let go of the ring there is."""
        ring, self._ring = self._ring, None
        if ring is not None:
            ring.close()
