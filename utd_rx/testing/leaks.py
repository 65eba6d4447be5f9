"""What a test may not leave behind: asyncio tasks, threads, file descriptors.

LiveKit's native runtime starts with its first use and stays until the process ends: tokio's and
WebRTC's threads, and a few descriptors (epoll, eventfd, the signal handler's socket pair, and a
pipe while a peer connection factory lives). Seen with livekit 1.2.0: threads tokio-rt-worker,
livekit-audio, network_thread, worker_thread, signaling_thread, SyntheticAudioDevice, rtc-low-prio;
10 descriptors for good and 3 more for a second after the last room closed. Its threads never count
(Python sees them as "Dummy-…" at most); its descriptors are allowed by kind and number, so a TCP or
UDP socket that it fails to close is a leak all the same.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen

PATIENCE: Final = 15.0
"""Seconds leftovers may take to go: WebRTC closes its sockets after the room said it closed, and on
a busy machine late in a run one look at all objects takes a second. Only a leak takes that long."""

_POLL_INTERVAL: Final = 0.05

_NATIVE_RUNTIME: Final = Counter(
    {"anon_inode:[eventpoll]": 5, "anon_inode:[eventfd]": 3, "unix socket": 4, "pipe": 2}
)

_PULSE_CONNECTION: Final = Counter({"/memfd:pulseaudio (deleted)": 1, "pipe": 2, "unix socket": 1})


def allow_platform_audio() -> None:
    """Let LiveKit keep one connection to PulseAudio in this process, before its first test.

    WebRTC's device module keeps it when it is closed while a room plays, never a second one.
    """
    _NATIVE_RUNTIME.update(_PULSE_CONNECTION)


_EVENT_LOOP: Final = Counter({"anon_inode:[eventpoll]": 1, "unix socket": 2})
"""What the test's own loop has open while it is looked at; it may not be there at the start."""

# Both belong to the event loop, which joins them when it closes: its default executor, and on
# Python 3.11 the watcher of a child process.
_LOOP_THREADS: Final = ("asyncio_", "waitpid-")


@frozen
class Snapshot:
    """What was there at one moment."""

    tasks: frozenset[asyncio.Task[object]]
    threads: frozenset[threading.Thread]
    descriptors: dict[int, str]

    @classmethod
    def take(cls) -> Snapshot:
        """Look around; inside a coroutine, at its loop's tasks too."""
        return cls(_tasks(), frozenset(threading.enumerate()), _descriptors())


class LeakGuard:
    """Finds what was not there before; one per test run, as the native runtime's share is one."""

    def __init__(self) -> None:
        # Counted over the whole process, not per test: the runtime gives a pipe back after one
        # test and takes a new one in another.
        self._allowed = _native_descriptors() + _NATIVE_RUNTIME + _EVENT_LOOP
        self._excess: Counter[str] = Counter()

    async def wait(self, before: Snapshot) -> list[str]:
        """Return what is still there after `PATIENCE` seconds, inside a loop."""
        deadline = time.monotonic() + PATIENCE
        while (found := self._find(before)) and time.monotonic() < deadline:
            gc.collect()  # native handles go with their Python objects, which form cycles
            await asyncio.sleep(_POLL_INTERVAL)
        return self._settle(found)

    def wait_blocking(self, before: Snapshot) -> list[str]:
        """Return what is still there after `PATIENCE` seconds, outside a loop."""
        deadline = time.monotonic() + PATIENCE
        while (found := self._find(before)) and time.monotonic() < deadline:
            gc.collect()
            time.sleep(_POLL_INTERVAL)
        return self._settle(found)

    def _find(self, before: Snapshot) -> Counter[str]:
        """Return what is new since `before`, named, without the native runtime's share."""
        found, native = _compare(before, Snapshot.take())
        self._excess = native & (_native_descriptors() - self._allowed) if native else native
        return found + Counter({f"descriptor {kind}": n for kind, n in self._excess.items()})

    def _settle(self, found: Counter[str]) -> list[str]:
        """Charge only the test that left it behind with what the runtime has too much."""
        self._allowed += self._excess
        return list(found.elements())


def _compare(before: Snapshot, now: Snapshot) -> tuple[Counter[str], Counter[str]]:
    """Return what is new by name, and how many descriptors of each kind the runtime may keep."""
    found = Counter(
        f"task {task.get_name()}: {task.get_coro()}" for task in now.tasks - before.tasks
    )
    found.update(
        f"thread {thread.name}"
        for thread in now.threads - before.threads
        if thread.is_alive()
        and not isinstance(thread, threading._DummyThread)
        and not thread.name.startswith(_LOOP_THREADS)
    )
    native: Counter[str] = Counter()
    may_be_native = "livekit.rtc" in sys.modules
    new = {n: link for n, link in now.descriptors.items() if before.descriptors.get(n) != link}
    for number, kind in _kinds(new).items():
        if kind.endswith(".ttf"):  # matplotlib keeps the fonts it drew with open
            continue
        if may_be_native and kind in _NATIVE_RUNTIME:
            native[kind] += 1
        else:
            found[f"descriptor {number}: {kind}"] += 1
    return found, native


def _native_descriptors() -> Counter[str]:
    """Count the open descriptors of the kinds that the native runtime keeps."""
    kinds = Counter(_kinds(_descriptors()).values())
    return Counter({kind: kinds[kind] for kind in _NATIVE_RUNTIME})


def _kinds(descriptors: dict[int, str]) -> dict[int, str]:
    sockets = _socket_kinds(descriptors.values()) if descriptors else {}
    return {
        number: sockets.get(link, "pipe" if link.startswith("pipe:") else link)
        for number, link in descriptors.items()
    }


def _tasks() -> frozenset[asyncio.Task[object]]:
    try:
        return frozenset(asyncio.all_tasks()) - {asyncio.current_task()}
    except RuntimeError:  # no running loop
        return frozenset()


def _descriptors() -> dict[int, str]:
    folder, links = Path("/proc/self/fd"), {}
    for entry in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # the listing's own descriptor is gone by now
            links[int(entry.name)] = str(entry.readlink())
    return links


def _socket_kinds(links: Iterable[str]) -> dict[str, str]:
    """Return "tcp 127.0.0.1:1234 …" for each `socket:[inode]` among the links."""
    wanted = {link for link in links if link.startswith("socket:")}
    kinds = {}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        path = Path("/proc/self/net") / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            words = line.split()
            link = f"socket:[{words[9]}]"
            if link in wanted:
                kinds[link] = f"{table} {_port(words[1])} -> {_port(words[2])}"
    path = Path("/proc/self/net/unix")
    for line in path.read_text().splitlines()[1:] if path.exists() else ():
        link = f"socket:[{line.split()[6]}]"
        if link in wanted:
            kinds[link] = "unix socket"
    return kinds


def _port(address: str) -> str:
    return f"port {int(address.rpartition(':')[2], 16)}"
