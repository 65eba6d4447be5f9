"""A program that speaks in a plain room, and then ends, or does not, as its last argument says.

`UTD_RX_MEDIA` says where its media run. It prints "in" once it speaks, and does the rest at a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from utd_rx import LoopThread, RoomSession, ToneSource, open_room

KEPT: list[object] = []
"""What nobody closes."""


def tell(what: object) -> None:
    print(json.dumps(what), flush=True)


async def line() -> None:
    """Wait for a line without a thread, which would hold up the end."""
    loop = asyncio.get_running_loop()
    came = loop.create_future()
    loop.add_reader(sys.stdin, came.set_result, None)
    try:
        await came
    finally:
        loop.remove_reader(sys.stdin)
    sys.stdin.readline()


async def stay(room: RoomSession) -> None:
    await asyncio.Event().wait()


async def stay_twice(room: RoomSession) -> None:
    """Stay until it is interrupted, and stand still in the middle of leaving."""
    tell("stays")
    try:
        await stay(room)
    finally:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGSTOP)


async def leave(room: RoomSession) -> None:
    """Go on without the room."""


async def become_another(room: RoomSession) -> None:
    """Go on as another program, without a word to anybody."""
    os.execv(sys.executable, [sys.executable, "-c", "raise SystemExit(3)"])


async def fork(room: RoomSession) -> None:
    """Have a copy of this process that lives on, as a server's worker may."""
    if (child := os.fork()) == 0:
        signal.pause()
    tell(child)
    await stay(room)


async def stop_at_a_breakpoint(room: RoomSession) -> None:
    breakpoint()
    await room.send_data(b"goes on")
    await stay(room)


ENDS: dict[str, Callable[[RoomSession], Awaitable[None]]] = {
    "stay": stay,
    "stay twice": stay_twice,
    "leave": leave,
    "exec": become_another,
    "fork": fork,
    "breakpoint": stop_at_a_breakpoint,
}


async def main(url: str, token: str, end: str) -> None:
    async with open_room(url, token, microphone=ToneSource(440)) as room:
        await room.set_microphone(True)
        tell("in")
        await line()
        await ENDS[end](room)
    tell("left")
    await line()


def end_with_the_interpreter(url: str, token: str) -> None:
    """Let the main thread end while a loop runs on another one, and nobody leaves."""
    loop = LoopThread().__enter__()
    joining: AbstractAsyncContextManager[RoomSession] = open_room(
        url, token, microphone=ToneSource(440)
    )
    room = loop.run(joining.__aenter__)
    loop.run(room.set_microphone, True)
    KEPT.extend((loop, joining, room))
    tell("in")
    sys.stdin.readline()


if __name__ == "__main__":
    os.setpgid(0, 0)  # a terminal's Ctrl-C is for all of a group
    if sys.argv[3] == "shutdown":
        end_with_the_interpreter(*sys.argv[1:3])
    else:
        asyncio.run(main(*sys.argv[1:]))
