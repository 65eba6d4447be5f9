"""The child's threads on one core, while all of them together take little.

A frame of sound passes a dozen threads, and each works on it for microseconds. On one core a thread
finds in the caches what the one before has left there, and nobody interrupts another core to wake
it: that was a fifth of what a voice costs, and a third with 64 of them (benchmarks/audio.md,
"A media process").

It takes real-time priority: a thread that has to wait until others have had their turn is better
off on whatever core is free. Where the core does not do, as it is too slow or others of that
priority keep it busy, the threads are let go, each time for longer.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from utd_rx.media.priority import threads

MAX_SHARE: Final = 0.8
"""Of a core, that all threads together may take; on several of the same kind they take more, so
that nothing goes to and fro."""

CROWDED: Final = 0.002
"""Seconds that the main thread waits for the core each time, by which others keep it busy; 0.1 ms
at most with 64 voices."""

PAUSE: Final = 10.0
"""Seconds until it is tried again, and up to twice as long: those that keep each other busy are not
to do it again together. Twice as many after each time that it did not do."""

LONGEST_PAUSE: Final = 600.0

ALIKE: Final = 0.9
"""Of the speed of the fastest core, and of the time that the idlest one was idle: those with more
are as good."""

_SPEED: Final = "cpu_capacity", "cpufreq/cpuinfo_max_freq"


class Gathering:
    """Of all threads of this process, also those to come, on a core that was idle; made and used on
    the main thread. Threads that chose their cores themselves keep them.

    Args:
        choose: Which of several cores that are as good.
    """

    def __init__(self, choose: Callable[[list[int]], int] = random.choice) -> None:
        self._choose = choose
        self._cores: set[int] = set()
        self._core: int | None = None
        self._idle: dict[int, int] = {}
        self._waited = (0, 0)
        self._pause = PAUSE
        self._not_before = 0.0

    def look(self, share: float, *, is_wanted: bool) -> None:
        """Have them together, or not; now and then. They took that share of a core since the last
        look."""
        with suppress(OSError, ValueError):  # whatever a kernel or a sandbox says
            if self._core is not None and (share > MAX_SHARE or self._wait() > CROWDED):
                self._not_before = time.monotonic() + self._pause * random.uniform(1, 2)  # noqa: S311 - no secret
                self._pause = min(LONGEST_PAUSE, 2 * self._pause)
            if is_wanted and share <= MAX_SHARE and time.monotonic() >= self._not_before:
                self._gather()
            else:
                self._let_go()

    def _gather(self) -> None:
        if self._core is None:
            self._cores = os.sched_getaffinity(0)  # a container's may change
            self._wait()
            before, self._idle = self._idle, _idle()
            known = self._cores & before.keys() & self._idle.keys()
            if len(known) < 2:  # the first look, or the only core
                return
            idle = {core: self._idle[core] - before[core] for core in _fastest(known)}
            most = max(idle.values())
            self._core = self._choose([core for core in idle if idle[core] >= ALIKE * most])
        _move_all(self._cores, {self._core})

    def _let_go(self) -> None:
        self._idle = {}
        if self._core is not None:
            core, self._core = self._core, None
            _move_all({core}, self._cores)

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


def _fastest(cores: Iterable[int]) -> list[int]:
    """Return those that are no slower than the others, as far as the kernel says."""
    known = sorted(cores)
    for name in _SPEED:
        with suppress(OSError, ValueError):
            speeds = {
                core: int(_read(f"/sys/devices/system/cpu/cpu{core}/{name}")) for core in known
            }
            return [core for core in known if speeds[core] >= ALIKE * max(speeds.values())]
    return known


def _idle() -> dict[int, int]:
    """Return how long each core was idle, in ticks."""
    lines = _read("/proc/stat").splitlines()
    cores = [line.removeprefix("cpu").split() for line in lines if line.startswith("cpu")]
    return {int(core[0]): int(core[4]) for core in cores[1:]}  # the first line is of all


def _waited() -> tuple[int, int]:
    """Return how long the main thread has waited while it could run, in nanoseconds, and how often
    it ran."""
    _, waited, times = _read("/proc/self/schedstat").split()
    return int(waited), int(times)


def _read(file: str) -> str:
    return Path(file).read_text()
