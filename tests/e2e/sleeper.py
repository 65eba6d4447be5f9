"""A session in a process of its own, which a test stops and continues: says how it ended."""

from __future__ import annotations

import asyncio
import sys

from utd_rx import UTDConnectionState, UTDStreamClient


async def main(base_url: str, app_id: str, app_key: str, identity: str, room: str) -> None:
    async with UTDStreamClient(
        app_id, app_key, base_url=base_url, token_base_url=base_url
    ) as client:
        session = await client.join_audio_room(identity, room)
        async with session:
            print("connected", flush=True)
            await session.connection_state.until(UTDConnectionState.DISCONNECTED)
            failure = session.failure.value
            reason = None if failure is None or failure.reason is None else failure.reason.name
            print(f"ended {reason}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
