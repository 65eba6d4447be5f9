"""Joins some rooms as one identity, all at a word, and says how that ends; of two such at once one
process is to stay in each room."""

from __future__ import annotations

import asyncio
import json
import sys

from utd_rx import UTDAudioRoomSession, UTDConnectionState, UTDStreamClient, UTDStreamException
from utd_rx.protocol.wire.tokens import serial_in_metadata
from utd_rx.rtc import native

OVER = UTDConnectionState.DISCONNECTED, UTDConnectionState.FORCE_EXIT


async def attend(session: UTDAudioRoomSession, ends: list[str]) -> None:
    """Join, and write down how that ends, each time that it does."""
    try:
        await session.join()
    except UTDStreamException as error:
        ends.append(f"{error.code.name} {error.reason}")
        return
    async for state in session.connection_state.changes():
        failure = session.failure.value
        if state in OVER and failure is not None:
            ends.append(f"{failure.code.name} {failure.reason}")


def standing(session: UTDAudioRoomSession) -> int | None:
    """Return the serial of who is in the room, None for nobody."""
    local = session.state.value.session.roster.local
    there = session.connected.value and local is not None
    return serial_in_metadata(local.metadata) if there and local is not None else None


async def main(base_url: str, app_id: str, app_key: str, *rooms: str) -> None:
    native.sdk()
    async with UTDStreamClient(app_id, app_key, base_url=base_url, token_base_url=base_url) as one:
        sessions = [one.audio_room("sara", room) for room in rooms]
        ends: list[list[str]] = [[] for _ in rooms]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        attending = [
            asyncio.create_task(attend(*pair)) for pair in zip(sessions, ends, strict=True)
        ]
        while await asyncio.to_thread(sys.stdin.readline):
            there = [standing(session) for session in sessions]
            print(json.dumps({"there": there, "ends": ends}), flush=True)
        for session in sessions:
            await session.aclose()
        for task in attending:
            task.cancel()
        await asyncio.gather(*attending, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
