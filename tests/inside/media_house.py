"""A plain room with somebody who watches a program in it: who is there, and what is heard."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from tests.inside.programs import PATIENCE, Program
from tests.rtc.bench import token
from tests.support.processes import descendants, kill_all, until_ended
from tests.support.sfu import RunningSfu
from utd_rx import AudioFrame, RoomSession, level_dbfs, open_room

APP = "app"
GONE = 1.0
"""Seconds until nobody sees a program any more that has ended, however it did."""

LOUD = -40.0


class MediaHouse:
    """The room, its witness, and the programs that were started in it.

    Args:
        sfu: Where the room is.
        watcher: Somebody else in it.
        stack: Ends what was started.
    """

    def __init__(self, sfu: RunningSfu, watcher: RoomSession, stack: AsyncExitStack) -> None:
        self.sfu = sfu
        self.watcher = watcher
        self._stack = stack

    async def start(self, end: str, media: str) -> Program:
        """Start a program, wait until it is in the room, and let it do what it is to do."""
        minted = token(self.sfu, APP)
        program = await Program.start(
            "media_program", self.sfu.url, minted, end, UTD_RX_MEDIA=media
        )
        self._stack.push_async_callback(program.kill)
        assert await program.hear() == "in"
        await self.there()
        return program

    def children(self, program: Program, media: str) -> list[int]:
        """Return the processes that a program has started: some, or none, as `media` says."""
        found = descendants(program.process.pid)
        self._stack.callback(kill_all, found)
        assert bool(found) == (media == "process")
        return found

    async def there(self, identity: str = APP) -> None:
        """Wait until it is in the room."""
        people = self.watcher.remote_participants
        await people.until(lambda who: identity in [one.identity for one in who], timeout=PATIENCE)

    async def gone(self, identity: str = APP) -> float:
        """Wait until it is in the room no more, and return how long that took."""
        began = time.monotonic()
        people = self.watcher.remote_participants
        await people.until(lambda who: identity not in [p.identity for p in who], timeout=PATIENCE)
        return time.monotonic() - began

    async def loud_share(self, seconds: float) -> float:
        """Return for which share of so many seconds the program is heard."""
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
        return loud / 100 / (time.monotonic() - began)


async def enter(sfu: RunningSfu, stack: AsyncExitStack) -> MediaHouse:
    """Have the watcher join; it leaves with the stack."""
    watcher = await stack.enter_async_context(open_room(sfu.url, token(sfu, "watcher")))
    return MediaHouse(sfu, watcher, stack)


async def all_ended(children: list[int]) -> None:
    """Wait until what a program has started has ended with it."""
    await until_ended(children, GONE)
