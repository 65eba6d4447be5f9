"""A host in a process of its own, who goes live until the process is stopped or killed."""

from __future__ import annotations

import asyncio
import sys

from utd_rx import TestPattern, ToneSource, UTDStreamClient


async def main(base_url: str, app_id: str, app_key: str, identity: str, room: str) -> None:
    async with UTDStreamClient(
        app_id, app_key, base_url=base_url, token_base_url=base_url, microphone=ToneSource()
    ) as client:
        camera = TestPattern(160, 90, 25.0)
        session = await client.join_live_stream(identity, room, as_host=True, camera=camera)
        async with session:
            await session.go_live()
            print("live", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
