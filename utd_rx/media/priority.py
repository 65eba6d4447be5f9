"""The child's place among the threads of the machine: sound is due every 10 ms, whoever computes.

Beside a thread that never yields, one that wakes up waits for the scheduler's next tick, 4 ms with
most kernels, and a frame passes several threads on its way. Real-time priority spares it that, as
it does sound servers and WebRTC's own threads; the whole process has it, since whoever holds the
GIL holds up all others. Where it is not allowed, short slices are: a thread that asks for little at
a time goes first (Linux 6.12; older ones know no such wish).

What computes for long comes before nobody: a thread that does not wait for half a second, or a
process that takes a whole core, gives it back for a while.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

PRIORITY: Final = 1
"""Of real-time priorities the least: WebRTC's own threads and sound servers have more."""

AT_A_TIME: Final = 500_000
"""Microseconds for which a thread may compute at real-time priority without ever waiting."""

MAX_SHARE: Final = 0.9
"""Of a core, that all its threads together may take from one look to the next; 64 voices mixed and
played take 0.6."""

LOOKS: Final = 3
"""Looks in a row that find more; to load LiveKit takes one or two."""

PAUSE: Final = 10.0
"""Seconds until the priority is taken again."""

SLICE: Final = 100_000
"""Nanoseconds that a thread asks for at a time, the least the kernel grants."""

SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
"""The number of the system call, which Python and the C library do not wrap."""


class Priority:
    """That of all of this process's threads, also those to come; made on the main thread."""

    def __init__(self) -> None:
        self.is_first = False
        """Whether it is real-time."""
        self.share = 1.0
        """Of a core, that was taken between the last two looks."""
        self._again_at: float | None = None
        self._looked_at, self._used = time.monotonic(), time.process_time()
        self._over = 0
        signal.signal(signal.SIGXCPU, lambda number, frame: self._give_back())

    def take(self) -> None:
        """Take the best that is allowed; nothing real-time for who was made nice, and nothing for
        who is to yield to all others (`SCHED_IDLE`, `SCHED_BATCH`)."""
        self._again_at = None
        with suppress(OSError, ValueError):  # whatever a kernel or a sandbox says
            if os.getpriority(os.PRIO_PROCESS, 0) <= 0:
                _limit()
                _move_all(os.SCHED_OTHER, os.SCHED_RR, PRIORITY)
                self.is_first = os.sched_getscheduler(0) == os.SCHED_RR
                return
        with suppress(OSError, AttributeError):
            _ask_for_slices()

    def look(self) -> None:
        """Take it again `PAUSE` after it was given back, and see how much was computed."""
        now, used = time.monotonic(), time.process_time()
        self.share = (used - self._used) / max(1e-9, now - self._looked_at)
        self._looked_at, self._used = now, used
        self._over = self._over + 1 if self.share > MAX_SHARE else 0
        if self._over >= LOOKS:
            self._give_back()
        elif self._again_at is not None and now >= self._again_at:
            self.take()

    def _give_back(self) -> None:
        """Who computes for so long does no work on sound: let others go first."""
        self._again_at, self.is_first = time.monotonic() + PAUSE, False
        with suppress(OSError):
            _move_all(os.SCHED_RR, os.SCHED_OTHER, 0)


def _limit() -> None:
    """Have `SIGXCPU` for what computes at a time; a hard limit, which kills, stays as it is."""
    import resource  # not everywhere, and only a media process comes here

    _, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
    most = AT_A_TIME if hard == resource.RLIM_INFINITY else min(AT_A_TIME, hard // 2)
    resource.setrlimit(resource.RLIMIT_RTTIME, (most, hard))


def _move_all(policy: int, new: int, priority: int) -> None:
    """Move the threads of one policy to another; WebRTC's have their own."""
    for thread in threads():
        with suppress(ProcessLookupError):  # it has ended
            if os.sched_getscheduler(thread) == policy:
                os.sched_setscheduler(thread, new, os.sched_param(priority))


def _ask_for_slices() -> None:
    number = SCHED_SETATTR.get(platform.machine())
    if number is not None:
        ask, nice = ctypes.CDLL(None).syscall, os.getpriority(os.PRIO_PROCESS, 0)
        attributes = _Attributes(size=ctypes.sizeof(_Attributes), nice=nice, slice=SLICE)
        for thread in threads():  # where the kernel refuses all stays as it is
            if os.sched_getscheduler(thread) == os.SCHED_OTHER:
                ask(number, thread, ctypes.byref(attributes), 0)


def threads() -> list[int]:
    """Return those of this process, by their numbers."""
    return [int(thread.name) for thread in Path("/proc/self/task").iterdir()]


class _Attributes(ctypes.Structure):
    """The kernel's `struct sched_attr`, first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("slice", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )
