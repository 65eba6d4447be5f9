"""Plain rooms on both SFUs: no engine, a URL and a token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from reactivex import operators as ops

from tests.rtc.bench import PATIENCE, token
from tests.support.sfu import RunningSfu
from utd_rx import AudioFrame, RoomSession, ToneSource, level_dbfs, open_room


class Guests:
    """Who joins rooms of one SFU with nothing but its URL and a token; they leave at the end."""

    def __init__(self, sfu: RunningSfu, stack: AsyncExitStack) -> None:
        self.sfu = sfu
        self._stack = stack

    async def join(self, identity: str) -> RoomSession:
        joining = open_room(self.sfu.url, token(self.sfu, identity), microphone=ToneSource())
        return await self._stack.enter_async_context(joining)


@pytest.fixture
async def guests(sfu: RunningSfu) -> AsyncIterator[Guests]:
    async with AsyncExitStack() as stack:
        yield Guests(sfu, stack)


async def test_two_are_in_a_room_with_url_and_token(guests: Guests) -> None:
    ana, ben = await asyncio.gather(guests.join("ana"), guests.join("ben"))
    assert (ana.room_name, ana.identity, ana.can_publish.value) == ("room", "ana", True)
    await ana.set_microphone(True)
    loud, said = asyncio.Event(), asyncio.get_running_loop().create_future()

    def hear(frame: AudioFrame) -> None:
        if level_dbfs(frame.samples) > -40:
            loud.set()

    ben.audio("ana").subscribe(hear)
    ben.messages("greeting").pipe(ops.first()).subscribe(said.set_result)
    async with asyncio.timeout(PATIENCE):
        await loud.wait()
        await ana.send_data(b'{"type": "_seat_update"}', topic="greeting")
        assert ((await said).sender, said.result().payload) == ("ana", b'{"type": "_seat_update"}')
    await ana.chat.send("hello")
    await ben.chat_history.until(lambda history: [one.text for one in history] == ["hello"])
