"""A bot: joins a room, sits down, says so, and stays until it is ended."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from utd_rx import ToneSource, UTDStreamClient, leave_on
from utd_rx.rtc import native


async def main(base_url: str, app_id: str, app_key: str, *options: str) -> None:
    native.sdk()
    if "leaving" in options:
        leave_on(signal.SIGTERM)
    await asyncio.to_thread(sys.stdin.readline)
    client = UTDStreamClient(
        app_id, app_key, base_url=base_url, token_base_url=base_url, microphone=ToneSource(440)
    )
    room = await client.join_audio_room("bot", "lobby")
    await room.take_seat(0)
    mine = room.my_seat.value
    told = {"seat": mine and mine.index, "microphone": room.microphone_enabled.value}
    print(json.dumps(told), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
