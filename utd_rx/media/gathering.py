"""The child's threads on one core, while all of them together take little.

A frame of sound passes a dozen threads, and each works on it for microseconds. On one core a thread
finds in the caches what the one before has left there, and nobody interrupts another core to wake
it: that was a fifth of what a voice costs, and a third with 64 of them (benchmarks/audio.md,
"A media process").

It takes real-time priority: a thread that has to wait until others have had their turn is better
off on whatever core is free. Where others of that priority keep the core busy, the threads are let
go for a while, too.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from utd_rx.media.priority import threads

MAX_SHARE: Final = 0.8
"""Of a core, that all threads together may take. On several cores they take more, never less, so
that nothing goes to and fro."""

CROWDED: Final = 0.002
"""Seconds that the main thread waits for the core each time, by which others keep it busy; 0.1 ms
at most with 64 voices."""

PAUSE: Final = 10.0
"""Seconds until it is tried again."""


class Gathering:
    """Of all threads of this process, also those to come, on the core that was idlest; made and
    used on the main thread. Threads that chose their cores themselves keep them."""

    def __init__(self) -> None:
        self._cores = os.sched_getaffinity(0)
        self._core: int | None = None
        self._idle: dict[int, int] = {}
        self._waited = (0, 0)
        self._not_before = 0.0

    def look(self, *, is_wanted: bool) -> None:
        """Have them together, or not; now and then."""
        if self._core is not None and self._wait() > CROWDED:
            self._not_before = time.monotonic() + PAUSE
        with suppress(OSError, ValueError):  # whatever a kernel or a sandbox says
            if is_wanted and time.monotonic() >= self._not_before:
                self._gather()
            else:
                self._let_go()

    def _gather(self) -> None:
        if self._core is None:
            before, self._idle = self._idle, _idle()
            known = self._cores & before.keys() & self._idle.keys()
            if len(known) < 2:  # the first look, or the only core
                return
            self._core = max(known, key=lambda core: self._idle[core] - before[core])
            self._wait()
        _move_all(self._cores, {self._core})

    def _let_go(self) -> None:
        self._idle = {}
        if self._core is not None:
            _move_all({self._core}, self._cores)
            self._core = None

    def _wait(self) -> float:
        """Return how long the main thread has waited for its core, each time since the last
        look."""
        before, self._waited = self._waited, _waited()
        waited, times = (now - then for now, then in zip(self._waited, before, strict=True))
        return waited / max(1, times) / 1e9


def _move_all(cores: set[int], to: set[int]) -> None:
    for thread in threads():
        with suppress(ProcessLookupError):  # it has ended
            if os.sched_getaffinity(thread) == cores:
                os.sched_setaffinity(thread, to)


def _idle() -> dict[int, int]:
    """Return how long each core was idle, in ticks."""
    lines = Path("/proc/stat").read_text().splitlines()
    cores = [line.removeprefix("cpu").split() for line in lines if line.startswith("cpu")]
    return {int(core[0]): int(core[4]) for core in cores[1:]}  # the first line is of all


def _waited() -> tuple[int, int]:
    """Return how long the main thread has waited while it could run, in nanoseconds, and how often
    it ran."""
    _, waited, times = Path("/proc/self/schedstat").read_text().split()
    return int(waited), int(times)
