"""A plain room with somebody who watches a program in it: who is there, and what is heard."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from attrs import frozen

from tests.inside.programs import PATIENCE, Program
from tests.rtc.bench import token
from tests.support.processes import descendants, kill_all, until_ended
from tests.support.sfu import RunningSfu, running_sfu
from utd_rx import AudioFrame, RoomSession, level_dbfs, open_room

APP = "app"
LOUD = -40.0


@frozen
class Pace:
    """What is asked of time. That something happens at all is asked at any pace.

    Attributes:
        gone: Seconds until nobody sees a program any more that has ended, and its processes have
            ended, too.
        loud: How much of the time that is asked for one is heard that goes on.
    """

    gone: float
    loud: float


IN_TIME = Pace(gone=1.0, loud=1.0)
AT_LAST = Pace(gone=PATIENCE, loud=0.1)


class MediaHouse:
    """The room, its witness, and the programs that were started in it.

    Args:
        sfu: Where the room is.
        watcher: Somebody else in it.
        stack: Ends what was started.
        pace: What is asked of time.
    """

    def __init__(
        self, sfu: RunningSfu, watcher: RoomSession, stack: AsyncExitStack, pace: Pace
    ) -> None:
        self.sfu = sfu
        self.watcher = watcher
        self.pace = pace
        self._stack = stack

    async def start(self, end: str, media: str) -> Program:
        """Start a program, wait until it is in the room, and let it do what it is to do."""
        program = await self.begin(end, media)
        assert await program.hear() == "in"
        await self.there()
        return program

    async def begin(self, end: str, media: str, url: str | None = None) -> Program:
        """Start a program, which joins the room, or one elsewhere."""
        where, minted = url or self.sfu.url, token(self.sfu, APP)
        program = await Program.start("media_program", where, minted, end, UTD_RX_MEDIA=media)
        self._stack.push_async_callback(program.kill)
        return program

    def children(self, program: Program, media: str) -> list[int]:
        """Return the processes that a program has started: some, or none, as `media` says."""
        found = descendants(program.process.pid)
        self._stack.callback(kill_all, found)
        assert bool(found) == (media == "process")
        return found

    async def first_children(self, program: Program) -> list[int]:
        """Return them as soon as there are any."""
        async with asyncio.timeout(PATIENCE):
            while not descendants(program.process.pid):  # noqa: ASYNC110 - the kernel tells parents only
                await asyncio.sleep(0.001)
        return self.children(program, "process")

    async def there(self, identity: str = APP) -> None:
        """Wait until it is in the room."""
        people = self.watcher.remote_participants
        await people.until(lambda who: identity in [one.identity for one in who], timeout=PATIENCE)

    async def gone(self, identity: str = APP, *, later: float = 0.0) -> None:
        """See it leave the room in time, or so many seconds `later`."""
        people, within = self.watcher.remote_participants, self.pace.gone + later
        await people.until(lambda who: identity not in [p.identity for p in who], timeout=within)

    async def all_ended(self, children: list[int]) -> None:
        """See what a program has started end with it, in time."""
        await until_ended(children, self.pace.gone)

    async def is_heard(self, seconds: float, share: float) -> bool:
        """Say whether the program is heard for that share of so many seconds."""
        frames: list[AudioFrame] = []
        enough = asyncio.Event()

        def hear(frame: AudioFrame) -> None:
            frames.append(frame)
            if len(frames) >= 100 * seconds:
                enough.set()

        began = time.monotonic()
        with self.watcher.audio(APP).subscribe(hear):
            await asyncio.wait_for(enough.wait(), seconds + PATIENCE)
        loud = sum(level_dbfs(frame.samples) > LOUD for frame in frames)
        return loud / 100 / (time.monotonic() - began) > share * self.pace.loud


def interrupt(program: Program) -> None:
    """Press Ctrl-C at its terminal."""
    os.killpg(program.process.pid, signal.SIGINT)


async def interrupt_twice(program: Program) -> None:
    """Press it twice, wherever that comes."""
    interrupt(program)
    await asyncio.sleep(0.02)  # two at once would be one
    with suppress(ProcessLookupError):  # on a busy machine it may have ended by now
        interrupt(program)


async def stopped(program: Program) -> None:
    """Wait until it stands still."""
    status = Path(f"/proc/{program.process.pid}/stat")
    async with asyncio.timeout(PATIENCE):
        while status.read_text().rpartition(")")[2].split()[0] != "T":  # noqa: ASYNC110, ASYNC240 - nobody tells
            await asyncio.sleep(0.001)


@asynccontextmanager
async def media_house(pace: Pace) -> AsyncIterator[MediaHouse]:
    """Give a room with the watcher in it."""
    async with AsyncExitStack() as stack:
        sfu = await stack.enter_async_context(running_sfu("embedded"))
        watcher = await stack.enter_async_context(open_room(sfu.url, token(sfu, "watcher")))
        yield MediaHouse(sfu, watcher, stack, pace)
