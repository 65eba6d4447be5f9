"""A client of a voice agent for `benchmarks.agent`, in a process of its own, by one of its ways.

`plain` is what one writes with the vendor's guide open: a WebSocket, a callback that sends each
block of the microphone, a callback that plays what has arrived, nothing between. Arguments come as
one line of JSON on standard input; the end of it ends the client. With `cards` it uses sound cards,
without them it sends a tone by the clock and throws away what it hears, for the CPU.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
import numpy as np

RATE: Final = 24_000
BLOCK: Final = RATE // 50
"""Samples that are recorded and sent at a time: 20 ms, the shorter one of those the guide names."""

PLAYS_LATE: Final = 0.1
"""Seconds that the guide's player holds (docs/agent.md, "Sound")."""

Start = Callable[[AsyncExitStack, str, str, "tuple[str, str] | None"], Awaitable[None]]
"""Opens one session; devices by name, the microphone's and the speaker's."""


async def start_utd_rx(
    stack: AsyncExitStack, url: str, key: str, cards: tuple[str, str] | None
) -> None:
    """Be a session of this package."""
    from utd_rx import ArraySource, AtomsAgentSession, AudioInput, Microphone, Speaker

    microphone: AudioInput = ArraySource(np.full(RATE, 0x1010, np.int16), RATE, loop=True)
    speaker: Any = lambda frame: None  # noqa: E731 - a sink
    if cards is not None:
        microphone, speaker = Microphone(cards[0]), Speaker(cards[1])
        stack.push_async_callback(microphone.aclose)
        stack.push_async_callback(speaker.aclose)
    session = AtomsAgentSession(key, "any", base_url=url, microphone=microphone, speaker=speaker)
    await stack.enter_async_context(session)
    await session.start()


async def start_plain(
    stack: AsyncExitStack, url: str, key: str, cards: tuple[str, str] | None
) -> None:
    """Be a client as the vendor's guide has it."""
    loop = asyncio.get_running_loop()
    http = await stack.enter_async_context(aiohttp.ClientSession())
    query = {"token": key, "agent_id": "any", "mode": "webcall", "sample_rate": str(RATE)}
    socket = await http.ws_connect(f"{url}/atoms/v1/agent/connect", params=query)
    waiting: asyncio.Queue[bytes] = asyncio.Queue()
    playing, lock = bytearray(), threading.Lock()

    def record(block: Any, *_: object) -> None:
        loop.call_soon_threadsafe(waiting.put_nowait, bytes(block))

    def play(block: Any, frames: int, *_: object) -> None:
        with lock:
            piece = bytes(playing[: 2 * frames])
            del playing[: 2 * frames]
        block[:] = piece + bytes(2 * frames - len(piece))

    async def send() -> None:
        while True:
            audio = base64.b64encode(await waiting.get()).decode()
            await socket.send_json({"type": "input_audio_buffer.append", "audio": audio})

    async def receive() -> None:
        async for message in socket:
            event = json.loads(message.data)
            if event["type"] == "output_audio.delta":
                with lock:
                    playing.extend(base64.b64decode(event["audio"]))
            elif event["type"] == "interruption":
                with lock:
                    playing.clear()
            elif event["type"] == "session.created":
                opened.set()

    async def tone() -> None:
        due = loop.time()
        while True:
            waiting.put_nowait(b"\x10\x10" * BLOCK)
            with lock:
                del playing[: 2 * BLOCK]
            due += 0.02
            await asyncio.sleep(due - loop.time())

    opened = asyncio.Event()
    tasks = [asyncio.create_task(send()), asyncio.create_task(receive())]
    await opened.wait()
    if cards is None:
        tasks.append(asyncio.create_task(tone()))
    else:
        import sounddevice

        options: dict[str, Any] = {"samplerate": RATE, "channels": 1, "dtype": "int16"}
        options["blocksize"] = BLOCK
        for stream in (
            sounddevice.RawOutputStream(
                device=cards[1], callback=play, latency=PLAYS_LATE, **options
            ),
            sounddevice.RawInputStream(device=cards[0], callback=record, **options),
        ):
            stack.callback(stream.close)
            stream.start()
    stack.callback(lambda: [task.cancel() for task in tasks])


WAYS: Final[dict[str, Start]] = {"utd_rx": start_utd_rx, "plain": start_plain}


async def serve() -> None:
    """Open so many sessions by one way, and be them until the end of the input."""
    values = json.loads(sys.stdin.readline())
    cards = values["cards"]
    stack = AsyncExitStack()
    for _ in range(values["sessions"]):
        await WAYS[values["way"]](stack, values["url"], values["key"], cards and tuple(cards))
    print(json.dumps({}), flush=True)
    while (await asyncio.to_thread(sys.stdin.readline)).strip():
        pass
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(serve())
