"""A client in a process of its own, which a lie may abort: `python -m tests.hostile.victim`.

It joins where each line of its input says, and says in a line of JSON what came of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from attrs import asdict, frozen

from tests.hostile.lies import ROOT
from tests.hostile.server_lies import Comes
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.rtc import connector
from utd_rx.rtc.room import UTDRoom

STAYS: Final = 0.5
"""Seconds that a client stays in a room, where what is said later can come."""


PATIENCE: Final = 3.0
"""Seconds that a victim's join may take; `connector.CONNECT_TIMEOUT` elsewhere."""


@frozen
class Met:
    """What came of a lie: whether the process lived, how it ended, and what was told."""

    is_alive: bool
    code: str = ""
    """Of the error that the join ended with; "" where it succeeded."""

    message: str = ""
    ended: str = ""
    """The reason of a disconnection."""

    people: int = 0
    seconds: float = 0.0
    """Until the join ended."""

    panic: str = ""
    """What native code said when it aborted the process."""


async def meet(url: str, token: str, stays: float = STAYS) -> Met:
    """Join, stay a moment and leave; return what came of it."""
    begun, people, ended = time.monotonic(), 0, ""
    code = message = ""

    def hear(events: tuple[ev.RoomEvent, ...]) -> None:
        nonlocal people, ended
        for event in events:
            if isinstance(event, ev.ParticipantConnected):
                people += 1
            elif isinstance(event, ev.Disconnected):
                ended = event.reason.name

    async with UTDRoom() as room:
        room.listen(hear)
        try:
            await room.connect(url, token)
        except UTDStreamException as error:
            code, message = error.code.name, error.message
        seconds = time.monotonic() - begun
        if not code:
            await asyncio.sleep(stays)
        told = ended
    return Met(True, code, message, told, people, seconds)


def comes_of(met: Met) -> Comes:
    """Return what came of a lie, as the table says it."""
    if not met.is_alive:
        return Comes.ABORTS
    if met.code == UTDErrorCode.TIMEOUT.name:
        return Comes.LATE
    return Comes.TYPED if met.code or met.ended else Comes.JOINS


class Victims:
    """One process after another that meets lies."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def meet(self, url: str, token: str) -> Met:
        """Have a process meet the lie that is told at `url`."""
        process = await self._living()
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps([url, token]).encode() + b"\n")
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        if line:
            return Met(**json.loads(line))
        self._process = None
        err = (await process.stderr.read()).decode(errors="replace").splitlines()
        await process.wait()
        panic = next((line for line in err if "panicked" in line), "\n".join(err))
        return Met(False, panic=f"{process.returncode}: {panic}")

    async def aclose(self) -> None:
        """End the last one, whatever it waits for."""
        if self._process is not None:
            self._process.kill()
            await self._process.communicate()

    async def _living(self) -> asyncio.subprocess.Process:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", __name__),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        return self._process


@asynccontextmanager
async def victims() -> AsyncIterator[Victims]:
    """Have processes that meet lies, for the length of the block."""
    found = Victims()
    try:
        yield found
    finally:
        await found.aclose()


async def _main() -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        told: list[Any] = json.loads(line)
        met = await meet(*told)
        print(json.dumps(asdict(met)), flush=True)


if __name__ == "__main__":
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it may be aborted many times
    os.nice(19)  # what it costs is its own: the pair beside it is not to want for a processor
    # Whoever is let wait knows it sooner than an app would.
    connector.CONNECT_TIMEOUT, connector.LEFTOVER_TIMEOUT = PATIENCE, 0.1  # type: ignore[misc] # Final
    asyncio.run(_main())
