"""Joins some rooms as one identity, all at a word, and says how that ends; of two such at once one
process is to stay in each room."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from utd_rx import (
    UTDAudioRoomSession,
    UTDConnectionState,
    UTDRoom,
    UTDStreamClient,
    UTDStreamException,
)
from utd_rx.models.events import RoomSnapshot
from utd_rx.protocol.wire.tokens import metadata_in, serial_in_metadata
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


class Noting(UTDRoom):
    """A room that knows what it was joined with last."""

    serial: int | None = None

    async def connect(self, url: str, token: str, **options: Any) -> RoomSnapshot:
        self.serial = serial_in_metadata(metadata_in(token))
        return await super().connect(url, token, **options)


async def main(base_url: str, app_id: str, app_key: str, *rooms: str) -> None:
    native.sdk()
    media: list[Noting] = []

    def make_room() -> Noting:
        media.append(Noting())
        return media[-1]

    async with UTDStreamClient(
        app_id, app_key, base_url=base_url, token_base_url=base_url, make_room=make_room
    ) as one:
        sessions = [one.audio_room("sara", room) for room in rooms]
        ends: list[list[str]] = [[] for _ in rooms]
        print(json.dumps("ready"), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        attending = [
            asyncio.create_task(attend(*pair)) for pair in zip(sessions, ends, strict=True)
        ]
        while await asyncio.to_thread(sys.stdin.readline):
            told = {
                "is_there": [session.connected.value for session in sessions],
                "ends": ends,
                "serials": [room.serial for room in media],
            }
            print(json.dumps(told), flush=True)
        for session in sessions:
            await session.aclose()
        for task in attending:
            task.cancel()
        await asyncio.gather(*attending, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
