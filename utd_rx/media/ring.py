"""A ring in memory that two processes share: one writes, one reads, and neither waits.

The memory is a file without a name, handed over by its descriptor, with a bell beside it, an
eventfd. It begins with two lines of the cache: on the writer's is how many slots were written, on
the reader's whether that waits for the bell, and how many it has lost. Slots follow, each with its
number, which is that of the write plus one, and 0 while it is being written. A writer that comes
around overwrites what was not read; the reader finds out by the numbers, and counts it.

What is seen in which order. A word is 8 aligned bytes, and is loaded and stored by one instruction.
x86 keeps the order of stores and that of loads, and ARM neither, so where it matters stands a
`fence`: releasing a lock and taking it again, of which the first is a store-release and the second
a load-acquire of the same word, and ARM lets nothing pass that pair in either direction (as x86
lets nothing pass an instruction with a lock prefix). The pairs that matter are four:

* The writer fills slots, fence, counts them; the reader loads the count, fence, copies them. So
  what was counted is whole.
* The writer takes the number away, fence, fills; the reader copies, fence, loads the number. So a
  slot that was overwritten while it was copied, were it by a byte, has lost its number.
* The writer counts, fence, looks whether the reader waits; the reader says that it waits, fence,
  looks at the count. So one of them sees the other, and no frame lies there without a bell.
* Who rings says before that nobody waits any more, so a bell is always younger than its word.

What the other side wrote is not believed: an end that reads looks at no number without a bound.
"""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

Octets = npt.NDArray[np.uint8]

LINE: Final = 64
"""Bytes of a line of the cache."""

_WRITTEN: Final = 0
_WAITING: Final = LINE // 8
_LOST: Final = _WAITING + 1
_SLOTS: Final = 2 * LINE

BODY: Final = LINE
"""Where in a slot its body begins; before it is the number, and `BODY - 8` bytes of head."""


@frozen
class RingShape:
    """How a ring lies in its memory: `slots` of `stride` bytes each, whole lines."""

    slots: int
    stride: int

    @property
    def size(self) -> int:
        """Bytes in all."""
        return _SLOTS + self.slots * self.stride


def make_fence() -> Callable[[], None]:
    """Return what keeps the order of what is before it and after it, for one thread at a time."""
    lock = threading.Lock()
    lock.acquire()
    release, acquire = lock.release, lock.acquire

    def fence() -> None:
        release()
        acquire()

    return fence


class RingEnd:
    """What both ends of a ring have: its memory, mapped, and its bell; `close` closes both
    descriptors."""

    def __init__(self, shape: RingShape, memory: int, bell: int) -> None:
        self.shape: Final = shape
        self.bell: Final = bell
        self._memory = memory
        self._stride = shape.stride // 8
        try:
            self._mapped = mmap.mmap(memory, shape.size)
        except BaseException:  # it takes a descriptor of its own
            _close(memory, bell)
            raise
        self._words = memoryview(self._mapped).cast("Q")
        octets = np.frombuffer(self._mapped, np.uint8, shape.slots * shape.stride, _SLOTS)
        self.slots: Octets = octets.reshape(shape.slots, shape.stride)
        self._fence = make_fence()
        # By itself, too, where a loop ended before anybody could close it.
        self._let_go = weakref.finalize(self, _close, memory, bell)
        self._let_go.atexit = False

    def close(self) -> None:
        """Let go of the memory. Idempotent."""
        if self._let_go() is not None:
            self._words.release()
            self.slots = self.slots[:0].copy()
            with suppress(BufferError):  # somebody looks at a slot still, and lets go of it later
                self._mapped.close()

    def _number(self, slot: int) -> int:
        """Return the word that holds a slot's number."""
        return _SLOTS // 8 + slot * self._stride


def _close(memory: int, bell: int) -> bool:
    os.close(memory)
    os.close(bell)
    return True


class RingWriter(RingEnd):
    """The end that writes, one thread at a time."""

    def __init__(self, shape: RingShape) -> None:
        memory = os.memfd_create("utd_rx ring", os.MFD_CLOEXEC)
        try:
            os.ftruncate(memory, shape.size)
            bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except BaseException:
            os.close(memory)
            raise
        super().__init__(shape, memory, bell)
        self._written = 0

    @property
    def descriptors(self) -> tuple[int, int]:
        """What the other end is made of."""
        return self._memory, self.bell

    @property
    def lost(self) -> int:
        """Slots that were overwritten before they were read, as far as the reader knows."""
        return self._words[_LOST]

    @property
    def is_waited_for(self) -> bool:
        """Whether the reader has said that it waits, and was not rung for since."""
        return bool(self._words[_WAITING])

    def begin(self, count: int = 1) -> range:
        """Return the next slots, at most all of them, by their place modulo `shape.slots`, to be
        filled until `end`: from `BODY` on, and the head before it."""
        slots = self.shape.slots
        places = range(self._written, self._written + count)
        for place in places:
            self._words[self._number(place % slots)] = 0
        self._fence()
        return places

    def end(self, places: range) -> None:
        """Let them be read."""
        slots = self.shape.slots
        for place in places:
            self._words[self._number(place % slots)] = place + 1
        self._fence()
        self._words[_WRITTEN] = self._written = places.stop

    def ring(self) -> None:
        """Wake the reader up, if it waits."""
        self._fence()
        if self._words[_WAITING]:
            self._words[_WAITING] = 0
            os.eventfd_write(self.bell, 1)


class RingReader(RingEnd):
    """The end that reads, on one thread; `lost` are the slots that were overwritten before."""

    def __init__(self, shape: RingShape, memory: int, bell: int) -> None:
        super().__init__(shape, memory, bell)
        self.lost = 0
        self._read = 0

    @property
    def taken(self) -> int:
        """How many were written when it was read last."""
        return self._read

    def take(self) -> Octets:
        """Return a copy of the slots that came, read-only: `(slots, stride)` bytes."""
        written, slots = self._words[_WRITTEN], self.shape.slots
        self._fence()
        if written - slots > self._read:
            self._skip_to(written - slots)
        first = self._read
        begin = first % slots
        end = begin + max(0, written - first)
        copied = self.slots[begin:end].copy()
        if end > slots:
            copied = np.concatenate((copied, self.slots[: end - slots]))
        self._fence()
        # The oldest is overwritten first, so behind one that is whole all are.
        while self._read < written and not self._is_whole(self._read):
            self._skip_to(self._read + 1)
        if self._read > first:
            copied = copied[self._read - first :]
        self._read = written
        copied.flags.writeable = False
        return copied

    def look(self, read: Callable[[Octets], Any]) -> Any:
        """Return what `read` copies out of the newest slot; None when none came, or the writer was
        faster. Those before it are left out, and not counted."""
        written = self._words[_WRITTEN]
        if written == self._read:
            return None
        self._fence()
        found = read(self.slots[(written - 1) % self.shape.slots])
        self._fence()
        if not self._is_whole(written - 1):
            return None
        self._read = written
        return found

    def wait(self) -> bool:
        """Have the bell rung from now on; returns whether something came meanwhile."""
        self._words[_WAITING] = 1
        self._fence()
        return self._words[_WRITTEN] != self._read

    def _skip_to(self, first: int) -> None:
        """Go on with a later one, and count what is before it: it was overwritten."""
        self.lost += first - self._read
        self._read = first
        self._words[_LOST] = self.lost

    def _is_whole(self, number: int) -> bool:
        return self._words[self._number(number % self.shape.slots)] == number + 1
