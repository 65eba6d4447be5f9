"""Levels of a device in a ring, past both loops' queues: written on any thread, the newest shown.

A level comes twenty times a second, and all else that a device tells now and then. So whole states
go through the pipe, and what differs from the one before by its level alone lies in a ring. Both
ways are one sequence again where they are read: each whole state says how many levels came before
it, and a level is shown only on a state that it came after.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, ClassVar, Final

from attrs import evolve, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.media.loop_reader import Announce, LoopReader
from utd_rx.media.ring import LINE, Octets, RingReader, RingShape
from utd_rx.media.ring_filling import RingFilling
from utd_rx.models.device_state import FLOOR_DBFS, MicrophoneState, SpeakerState
from utd_rx.ports.audio import DeviceState

SLOTS: Final = 4
"""As `pictures.SLOTS`, and a power of two."""

_LEVEL: Final = struct.Struct("=d?")
"""In dBFS, and whether somebody speaks; after a slot's number."""


@frozen
class MarkedState:
    """A state as it crosses, and how many levels lay in the ring when it was told."""

    state: DeviceState
    levels: int

    @property
    def failure(self) -> UTDStreamException | None:
        return self.state.failure


class LevelWriter(RingFilling):
    """Writes levels into a ring, on any thread, and never waits or raises; `count` were."""

    def __init__(self, announce: Announce) -> None:
        super().__init__(announce)
        self.count = 0

    def write(self, state: DeviceState) -> None:
        """Write the level of a state; nothing after `close`."""
        level = FLOOR_DBFS if state.level is None else state.level
        is_speaking = isinstance(state, MicrophoneState) and bool(state.is_speaking)
        with self._lock:
            if self._is_closed:
                return
            if (ring := self._ring or self._make(RingShape(SLOTS, LINE))) is None:
                return  # whole states have it, too
            places = ring.begin()
            at = places.start % SLOTS * LINE + 8
            _LEVEL.pack_into(ring.slots.data, at, level, is_speaking)
            ring.end(places)
            self.count = places.stop
            ring.ring()


class LevelReader(LoopReader[Any]):
    """Gives the states of a device to `sink` on this loop, as a `StatesSink` is given them; of
    levels that came while the loop was busy, the newest."""

    takes: ClassVar[str] = "states"

    def __init__(self, sink: Callable[[tuple[DeviceState, ...]], object]) -> None:
        super().__init__(sink)
        self._told: MarkedState | None = None
        self._newest = 0, FLOOR_DBFS, False  # the number of the level, and that

    def __call__(self, came: tuple[MarkedState, ...]) -> None:
        """Hand over whole states, the last with the level that came after it, and those before it
        with none that is older than was told."""
        *earlier, self._told = came
        states = [self._now(one) for one in earlier]
        if self._ring is not None:
            self._look(self._ring)
        super().__call__((*states, self._now(self._told)))

    def deliver(self, ring: RingReader) -> None:
        """Tell the newest level."""
        told = self._told
        if self._look(ring) and told is not None:  # else it is told with the first state
            super().__call__((self._now(told),))

    def finish(self) -> None:
        """Deliver nothing more; any thread. A level that nobody was told is of the past."""
        self._is_over = True
        super().finish()

    def _look(self, ring: RingReader) -> bool:
        """Read the newest level; return whether one came."""
        found = ring.look(_read)
        if found is not None:
            self._newest = ring.taken, *found
        return found is not None

    def _now(self, told: MarkedState) -> DeviceState:
        """Return a state with the level that came after it, if one did."""
        number, level, is_speaking = self._newest
        if number <= told.levels:
            return told.state
        if isinstance(told.state, SpeakerState):
            return evolve(told.state, level=level)
        return evolve(told.state, level=level, is_speaking=is_speaking)


def _read(slot: Octets) -> tuple[float, bool]:
    level, is_speaking = _LEVEL.unpack_from(slot.data, 8)
    return level, is_speaking
