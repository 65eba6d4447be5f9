"""Calls on a media server that is asked who is there, and an engine that is started anew on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
import pytest

from tests.engine.conftest import World
from tests.engine.fakes import FakeClock, FakeMedia, settle
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.engine.presence import Tracks, ask_once

GIVEN: Final = EngineOptions(app_id="1234567890", app_key="k" * 32, app_secret="s" * 32)


class Runs:
    """One engine after another on one media server."""

    def __init__(self, http: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        self.media = FakeMedia()
        self.clock = FakeClock()
        self._http = http
        self._stack = stack

    async def start(self) -> World:
        self.clock.now += 5.0
        engine = LocalEngine(GIVEN, media=self.media, clock=self.clock)
        await self._stack.enter_async_context(engine)
        return World(engine, self.media, self.clock, self._http)


@pytest.fixture
async def runs() -> AsyncIterator[Runs]:
    async with aiohttp.ClientSession() as http, AsyncExitStack() as stack:
        yield Runs(http, stack)


async def dial(world: World) -> tuple[str, dict[str, Any], str]:
    """Returns the caller's bearer, the reply, and the callee's bearer."""
    bearers = []
    for who in ("sara", "mona"):
        body = {"identity": who, "device_id": "1"}
        reply = await world.call("POST", "/api/v1/auth/session", body, headers=world.app)
        bearers.append(reply.body["user_token"])
    reply = await world.call(
        "POST", "/api/v1/calls", {"callee_identity": "mona"}, bearer=bearers[0]
    )
    return bearers[0], reply.body, bearers[1]


async def answer(world: World) -> tuple[str, str]:
    """A call with both in its room; returns the caller's bearer and the id."""
    sara, call, mona = await dial(world)
    path = f"/api/v1/calls/{call['call_id']}/accept"
    reply = await world.call("POST", path, bearer=mona)
    for token in (call["token"], reply.body["token"]):
        await world.media.connect(world.engine.core, token, is_reported=False)
    await ask_once(world.engine.core, {})
    return sara, call["call_id"]


async def status(world: World, bearer: str, call_id: str) -> str | int:
    reply = await world.call("GET", f"/api/v1/calls/{call_id}", bearer=bearer)
    return reply.body["status"] if reply.status == 200 else reply.status


async def test_who_is_there_is_found_by_asking(runs: Runs) -> None:
    world = await runs.start()
    sara, call_id = await answer(world)
    tracks: Tracks = {}
    for _ in range(20):
        await ask_once(world.engine.core, tracks)
        await runs.clock.advance(2.0)
    assert await status(world, sara, call_id) == "active"
    del runs.media.people[world.livekit(call_id)]["mona"]
    for _ in range(16):
        await ask_once(world.engine.core, tracks)
        await runs.clock.advance(2.0)
    assert await status(world, sara, call_id) == "ended"
    assert runs.media.rooms == {}


async def test_a_stranger_is_found_by_asking(runs: Runs) -> None:
    world = await runs.start()
    _, call_id = await answer(world)
    people = runs.media.people[world.livekit(call_id)]
    eve = (await world.mint("eve", "elsewhere"))["token"]
    people["eve"] = await runs.media.connect(world.engine.core, eve)
    await ask_once(world.engine.core, {})
    await settle()
    assert set(people) == {"sara", "mona"}


async def test_a_room_that_is_gone_is_made_again(runs: Runs) -> None:
    world = await runs.start()
    sara, call_id = await answer(world)
    before = runs.media.rooms.pop(world.livekit(call_id))
    runs.media.people.pop(world.livekit(call_id))
    await ask_once(world.engine.core, {})
    await settle()
    after = runs.media.rooms[world.livekit(call_id)]
    assert (after.metadata, after.sid != before.sid) == (before.metadata, True)
    await runs.clock.advance(30.0)
    assert await status(world, sara, call_id) == "ended"


@pytest.mark.parametrize("is_asking", [True, False])
async def test_a_restarted_engine_knows_no_call_and_closes_its_room(
    runs: Runs, is_asking: bool
) -> None:
    before = await runs.start()
    sara, call_id = await answer(before)
    await before.bearer("omar", "friday")
    world = await runs.start()
    assert await status(world, sara, call_id) == 404
    path = f"/api/v1/calls/{call_id}"
    for deed in ("join", "end", "accept"):
        assert (await world.call("POST", f"{path}/{deed}", bearer=sara)).status == 404
    if is_asking:
        await ask_once(world.engine.core, {})
    else:  # a party that reconnects is reported
        who = runs.media.people[world.livekit(call_id)]["sara"]
        await world.engine.core.participant_joined(call_id, who)
    await settle()
    assert set(runs.media.rooms) == {world.livekit()}, "other rooms stay"
    assert call_id not in world.engine.core.rooms.all()
    _, again, _ = await dial(world)
    assert again["status"] == "initiating", "neither is on a call any more"


async def test_an_engine_that_is_closed_lets_its_calls_be(runs: Runs) -> None:
    world = await runs.start()
    _, call_id = await answer(world)
    await settle()
    await world.engine.aclose()
    await runs.clock.advance(4000.0)
    assert set(runs.media.rooms) == {world.livekit(call_id)}, "neither over nor deleted"
