"""A session, and in its room a client that is LiveKit's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from attrs import frozen
from livekit import rtc

from tests.rtc.bench import PATIENCE, token
from tests.support.sfu import RunningSfu
from utd_rx import AudioInput, RoomSession, open_room


@frozen
class Pair:
    """A session, and a bare client in its room."""

    ana: RoomSession
    ben: rtc.Room

    async def call_of_ben(self, method: str, payload: str = "") -> str:
        return await self.ben.local_participant.perform_rpc(
            destination_identity="ana", method=method, payload=payload, response_timeout=5
        )


@asynccontextmanager
async def meeting(
    sfu: RunningSfu, microphone: AudioInput | None = None, *, agent: bool = False
) -> AsyncIterator[Pair]:
    """Let both join, and hear each other."""
    async with AsyncExitStack() as stack:
        opening = open_room(sfu.url, token(sfu, "ana"), microphone=microphone)
        ana = await stack.enter_async_context(opening)
        ben = rtc.Room()
        heard = asyncio.Event()
        ben.on("data_received", lambda packet: heard.set())
        stack.push_async_callback(ben.disconnect)
        await ben.connect(sfu.url, token(sfu, "ben", agent=agent))
        ben.local_participant.register_rpc_method("echo", lambda asked: asked.payload)
        await ana.remote_participants.until(bool, timeout=PATIENCE)
        while not heard.is_set():  # what is sent before its data channel is open reaches nobody
            await ana.send_data(b"open?")
            try:
                async with asyncio.timeout(0.1):
                    await heard.wait()
            except TimeoutError:
                continue
        yield Pair(ana, ben)
