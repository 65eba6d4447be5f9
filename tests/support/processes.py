"""Which processes there are below another one, and whether they have ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return the processes below `pid` that run, the nearest first."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (told := _told(int(folder.name))) is not None:
            parents.setdefault(told[1], []).append(int(folder.name))
    found = parents.get(pid, [])
    for child in found:  # which grows
        found += parents.get(child, [])
    return found


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only its exit status."""
    return (told := _told(pid)) is not None and told[0] not in "ZX"


async def until_ended(pids: Iterable[int], within: float) -> None:
    """Wait for the end of processes that are not children of this one.

    Raises:
        TimeoutError: One still ran.
    """
    left = set(pids)
    async with asyncio.timeout(within):
        while left := {pid for pid in left if is_running(pid)}:  # noqa: ASYNC110 - the kernel tells parents only
            await asyncio.sleep(0.01)


@contextmanager
def asleep(pid: int) -> Iterator[None]:
    """Stop a program and whatever is below it until the end of the block, as does a machine that
    sleeps: a media process would go on without its app."""
    pids = (pid, *descendants(pid))
    try:
        for one in pids:
            os.kill(one, signal.SIGSTOP)
        yield
    finally:
        for one in pids:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)


def kill_all(pids: Iterable[int]) -> None:
    """End what a failed test has left."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _told(pid: int) -> tuple[str, int] | None:
    """Return the state of a process and its parent's number; None when there is none."""
    try:
        # The name in parentheses may hold spaces and more of them.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1])
