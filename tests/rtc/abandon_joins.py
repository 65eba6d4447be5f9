"""A program that gives joins up in every way there is, and must survive it
(docs/livekit.md, "Ghost joins").

Run by `test_defects`: `python -m tests.rtc.abandon_joins <url> <room> <token>…`.
"""

from __future__ import annotations

import asyncio
import sys
import time

from utd_rx.rtc.room import UTDRoom

PANIC_AFTER = 16.0
"""Seconds: LiveKit ends a process 15 s after a join whose handshake is missing."""


async def cancel_at_many_points(url: str, tokens: list[str]) -> None:
    """Cancel each join at another moment of it."""

    async def one(index: int, token: str) -> None:
        async with UTDRoom() as room:
            task = asyncio.create_task(room.connect(url, token))
            await asyncio.sleep(index * 0.15)
            task.cancel()
            await asyncio.wait([task])

    await asyncio.gather(*(one(index, token) for index, token in enumerate(tokens)))


async def end_the_loop_under_a_join(url: str, token: str) -> None:
    """Return, and with it end the loop, while a join is under way."""
    room = UTDRoom()
    task = asyncio.create_task(room.connect(url, token))
    await asyncio.sleep(0.2)
    assert not task.done()


async def exit_while_joined(url: str, token: str) -> None:
    """Return without leaving."""
    await ROOM.connect(url, token)


ROOM = UTDRoom()


def main(url: str, *tokens: str) -> None:
    """Give up all joins, stay alive for longer than LiveKit would let us, then exit joined."""
    first, last, *others = tokens
    asyncio.run(cancel_at_many_points(url, others))
    print("cancelled", flush=True)
    asyncio.run(end_the_loop_under_a_join(url, first))
    time.sleep(PANIC_AFTER)
    print("alive", flush=True)
    asyncio.run(exit_while_joined(url, last))
    print("joined", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
