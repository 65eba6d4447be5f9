"""A process in a room forks; what the child is refused, and that it ends in silence."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from functools import partial

from utd_rx import LoopThread, UTDAudioRoomSession, UTDStreamClient, UTDStreamException


def reason_of(run: Callable[[], object]) -> str:
    try:
        run()
    except UTDStreamException as error:
        return f"{error.code.name}: {error.message}"
    return "nothing is refused"


def child(make: Callable[[], UTDStreamClient], room: UTDAudioRoomSession) -> None:
    async def join() -> None:
        async with make() as client:
            await client.join_audio_room("child", "lobby")

    told = {
        "value": room.connected.value,
        "grid": room.seats.value.count,
        "run": reason_of(lambda: room.from_thread.run(room.leave)),
        "submit": reason_of(lambda: room.from_thread.submit(room.leave)),
        "leave": reason_of(lambda: asyncio.run(room.leave())),
        "join": reason_of(lambda: asyncio.run(join())),
    }
    print(json.dumps(told), flush=True)
    sys.exit(7)  # with its exit handlers


def main(base_url: str, app_id: str, app_key: str) -> None:
    with LoopThread() as loop:
        make = partial(UTDStreamClient, app_id, app_key, base_url=base_url, token_base_url=base_url)
        client = make()
        room = loop.run(client.join_audio_room, "parent", "lobby", as_host=True, seat_count=2)
        if os.fork() == 0:
            child(make, room)
        status = os.waitstatus_to_exitcode(os.wait()[1])
        loop.run(partial(room.take_seat, 0, microphone=False))
        print(json.dumps({"child": status, "seat": room.seats.value.occupant_of(0)}), flush=True)
        loop.run(room.aclose)
        loop.run(client.aclose)


if __name__ == "__main__":
    main(*sys.argv[1:])
