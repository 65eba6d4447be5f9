"""What benchmarks run in processes of their own: `python -m benchmarks.children PROGRAM`.

A program takes its arguments as one line of JSON on standard input (keys do not belong on a
command line), prints one line of JSON when it is ready, and serves until its standard input ends,
so that none outlives the benchmark that started it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

Values = dict[str, Any]
FIELDS = ("base_url", "token_base_url", "app_id", "app_key", "livekit_url")


async def serve_sfu(stack: AsyncExitStack, arguments: Values) -> Values:
    """Run the embedded SFU with `api_key` and `api_secret`, and nothing else."""
    from utd_rx.engine.sfu.options import SfuOptions
    from utd_rx.engine.sfu.server import EmbeddedSfu

    sfu = EmbeddedSfu(SfuOptions(**arguments))
    stack.push_async_callback(sfu.aclose)
    await sfu.start()
    return {"url": sfu.url}


async def serve_engine(stack: AsyncExitStack, arguments: Values) -> Values:
    """Run the local engine on the SFU named `sfu`."""
    from utd_rx.engine import EngineOptions, LocalEngine

    engine = await stack.enter_async_context(LocalEngine(EngineOptions(sfu=arguments["sfu"])))
    return {name: getattr(engine, name) for name in FIELDS}


async def talk(stack: AsyncExitStack, arguments: Values) -> Values:
    """Own `room` as `identity`, sit down, and send a tone without end: by bare `livekit`."""
    from benchmarks import bare

    headers = {"X-App-Id": arguments["app_id"], "X-App-Key": arguments["app_key"]}
    site = await stack.enter_async_context(
        aiohttp.ClientSession(arguments["base_url"], headers=headers)
    )
    minted = await mint(site, arguments["identity"], arguments["room"], "host", seat_count=8)
    member = await bare.Member.join(stack, minted["url"], minted["token"])
    bearer = {"Authorization": f"Bearer {minted['user_token']}"}
    path = f"/api/v1/rooms/{arguments['room']}/seats/0/take"
    async with site.post(path, json={}, headers=bearer) as reply:
        reply.raise_for_status()
    async with asyncio.timeout(bare.PATIENCE):
        while not member.room.local_participant.permissions.can_publish:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    mouth = bare.Mouth()
    stack.push_async_callback(mouth.aclose)
    await member.publish(mouth.source)
    mouth.open(loud=True)
    return {}


async def attend(stack: AsyncExitStack, arguments: Values) -> Values:
    """Be in a room of `url` with each of `tokens`, by bare `livekit`, and say nothing."""
    from benchmarks import bare

    for token in arguments["tokens"]:
        await bare.Member.join(stack, arguments["url"], token)
    return {}


async def mint(
    site: aiohttp.ClientSession, identity: str, room: str, role: str, **grid: int
) -> Values:
    """POST the mint and return its reply: what an app without this SDK would write."""
    body = {"identity": identity, "room_name": room, "type": "audio_room", "role": role, **grid}
    async with site.post("/api/v1/token", json=body) as reply:
        reply.raise_for_status()
        values: Values = await reply.json()
        return values


PROGRAMS: dict[str, Callable[[AsyncExitStack, Values], Awaitable[Values]]] = {
    "sfu": serve_sfu,
    "engine": serve_engine,
    "talker": talk,
    "attend": attend,
}


async def run(program: str) -> None:
    """Run a program until standard input ends."""
    arguments = json.loads(sys.stdin.readline())
    async with AsyncExitStack() as stack:
        ready = await PROGRAMS[program](stack, arguments)
        print(json.dumps(ready), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
