"""A LiveKit client in a process of its own, for tests that stop it: `sleeper.py URL TOKEN`.

Prints `connected`, and `disconnected` with the reason when that happens.
"""

from __future__ import annotations

import asyncio
import sys

from livekit import rtc


async def main(url: str, token: str) -> None:
    """Connect, and stay until disconnected."""
    room, ended = rtc.Room(), asyncio.Event()

    def end(reason: rtc.DisconnectReason.ValueType) -> None:
        print("disconnected", rtc.DisconnectReason.Name(reason), flush=True)
        ended.set()

    room.on("disconnected", end)
    await room.connect(url, token)
    print("connected", flush=True)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
