"""What an engine that is started anew knows: the keys it was given, and what the SFU still has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp
import pytest

from tests.engine.conftest import World
from tests.engine.fakes import FakeClock, FakeMedia
from tests.engine.stage import Client
from tests.support.sfu import SfuKind, running_sfu
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.engine.options import make_secrets
from utd_rx.engine.presence import ask_once

GIVEN: Final = EngineOptions(app_id="1234567890", app_key="k" * 32, app_secret="s" * 32)
ROOM: Final = "/api/v1/rooms/friday"


class Runs:
    """One engine after another on one media server; only one at a time."""

    def __init__(self, http: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        self.media = FakeMedia()
        self.clock = FakeClock()
        self.http = http
        self._stack = stack

    async def start(self) -> World:
        self.clock.now += 5.0
        engine = LocalEngine(GIVEN, media=self.media, clock=self.clock)
        return World(
            await self._stack.enter_async_context(engine), self.media, self.clock, self.http
        )

    def lose_rooms(self) -> None:
        """Let the media server have died with the engine."""
        self.media.rooms.clear()
        self.media.people.clear()


@pytest.fixture
async def runs() -> AsyncIterator[Runs]:
    async with aiohttp.ClientSession() as http, AsyncExitStack() as stack:
        yield Runs(http, stack)


def test_the_keys_that_sign_follow_from_the_app_secret() -> None:
    assert make_secrets(GIVEN) == make_secrets(GIVEN)
    other = make_secrets(EngineOptions(app_secret="t" * 32))
    for name in ("livekit_api_key", "livekit_api_secret", "user_token_key"):
        assert getattr(make_secrets(GIVEN), name) != getattr(other, name)
    assert len({*vars_of(GIVEN)}) == len(vars_of(GIVEN)), "no key serves two purposes"


def vars_of(options: EngineOptions) -> list[str]:
    secrets = make_secrets(options)
    return [secrets.app_secret, secrets.livekit_api_secret, secrets.user_token_key]


async def test_whose_room_was_lost_find_it_anew_with_the_hosts_grid(runs: Runs) -> None:
    before = await runs.start()
    sara = await before.mint("sara", role="host", seat_count=4, seat_mode="request", host_seat=0)
    mona = await before.mint("mona")
    await runs.media.connect(before.engine.core, sara["token"])
    await before.seats("0/take", sara["user_token"])
    rev = (await before.grid(sara["user_token"]))["rev"]
    runs.lose_rooms()

    world = await runs.start()
    reply = await world.seats("1/take", mona["user_token"])
    assert reply.refusal == (404, "notFound"), "its bearer is good; the room is not there yet"
    await runs.media.connect(world.engine.core, mona["token"])
    assert (await world.grid(mona["user_token"]))["seat_count"] == 0
    await runs.media.connect(world.engine.core, sara["token"])
    grid = await world.grid(mona["user_token"])
    assert (grid["seat_count"], grid["seat_mode"]) == (4, "request")
    assert grid["seats"][0]["reserved_for"] == "sara"
    assert await world.occupants(mona["user_token"]) == [None] * 4
    assert grid["rev"] > rev, "or clients would take it for an old one"
    told = json.loads(runs.media.rooms[world.livekit()].metadata)["_seats"]
    assert (told["count"], told["rev"]) == (4, grid["rev"])
    path = f"{ROOM}/participants/mona/role"
    reply = await world.call("PUT", path, {"role": "admin"}, bearer=sara["user_token"])
    assert reply.status == 200, "still the owner"


async def test_a_kick_reaches_tokens_of_the_run_before(runs: Runs) -> None:
    before = await runs.start()
    minted = [await before.mint(who) for who in ("a", "b", "c", "mona")]
    runs.lose_rooms()
    world = await runs.start()
    await runs.media.connect(world.engine.core, minted[-1]["token"])
    await world.call("DELETE", f"{ROOM}/participants/mona", headers=world.server)
    await runs.media.connect(world.engine.core, minted[-1]["token"])
    assert runs.media.people[world.livekit()] == {}


async def sit_down(runs: Runs) -> tuple[str, str]:
    """A room with a locked chat, where mona sits and omar is to come."""
    world = await runs.start()
    sara, _ = await world.connect("sara", role="host", seat_count=4)
    mona, _ = await world.connect("mona")
    await world.seats("1/take", mona)
    await world.seats("2/take", await world.bearer("omar"))
    await world.call("PUT", f"{ROOM}/comments/lock", {"locked": True}, bearer=sara)
    await world.call("PUT", f"{ROOM}/metadata", {"metadata": {"x": 1}}, headers=world.server)
    runs.media.sent.clear()
    runs.media.grants.clear()
    return sara, mona


async def check_it_is_as_before(runs: Runs, world: World, sara: str) -> None:
    assert await world.occupants(sara) == [None, "mona", "omar", None]
    assert runs.media.grants == [], "nobody's right to publish was ever away"
    room = world.engine.core.rooms.all()["friday"]
    assert (room.owner, room.are_comments_locked) == ("sara", True)
    assert set(room.sessions) == {"sara", "mona"}
    assert json.loads(runs.media.rooms[world.livekit()].metadata)["x"] == 1
    await world.clock.advance(20.0)
    assert await world.occupants(sara) == [None, "mona", None, None], "omar never came"


async def test_a_media_server_that_lived_on_tells_the_room_on_the_first_call(runs: Runs) -> None:
    sara, _ = await sit_down(runs)
    world = await runs.start()
    await check_it_is_as_before(runs, world, sara)


async def test_a_media_server_that_lived_on_tells_the_room_when_it_is_asked(runs: Runs) -> None:
    sara, _ = await sit_down(runs)
    world = await runs.start()
    await ask_once(world.engine.core, {})
    assert set(world.engine.core.rooms.all()) == {"friday"}
    await check_it_is_as_before(runs, world, sara)


async def test_whoever_mints_first_does_not_become_the_host_of_a_room_that_lives(
    runs: Runs,
) -> None:
    sara, _ = await sit_down(runs)
    world = await runs.start()
    assert (await world.mint("eve", role="host", seat_count=2))["role"] == "audience"
    await check_it_is_as_before(runs, world, sara)


async def test_requests_go_on_with_ids_of_their_own(runs: Runs) -> None:
    before = await runs.start()
    sara, _ = await before.connect("sara", role="host", seat_count=1, seat_mode="request")
    mona, _ = await before.connect("mona")
    omar, _ = await before.connect("omar")
    first = (await before.call("POST", f"{ROOM}/speakers/request", bearer=mona)).body
    world = await runs.start()
    second = (await world.call("POST", f"{ROOM}/speakers/request", bearer=omar)).body
    assert first != second
    path = f"{ROOM}/speakers/requests/{first['request_id']}/approve"
    assert (await world.call("POST", path, bearer=sara)).body["identity"] == "mona"


async def test_a_live_stream_goes_on_under_a_new_engine(runs: Runs) -> None:
    def stage() -> dict[str, Any]:
        metadata = runs.media.rooms[before.livekit("live")].metadata
        found: dict[str, Any] = json.loads(metadata)["_stage"]
        return found

    before = await runs.start()
    live = {"room": "live", "type": "live_stream"}
    sara, _ = await before.connect("sara", role="host", name="Sara", **live)
    mona, _ = await before.connect("mona", **live)
    runs.media.publish(before.livekit("live"), "sara")
    await before.engine.core.track_published("live", "sara")
    path = "/api/v1/rooms/live/stage"
    promoted = {"target_identity": "mona"}
    assert (await before.call("POST", f"{path}/add", promoted, bearer=sara)).status == 200
    told = stage()
    runs.media.grants.clear()

    world = await runs.start()
    found = (await world.call("GET", path, bearer=mona)).body
    assert (found["members"], found["live"]) == (told["members"], True)
    assert found["rev"] > told["rev"], "or clients would take it for an old one"
    assert stage() == {key: found[key] for key in told}
    assert runs.media.grants == [], "nobody's right to publish was ever away"
    assert (await world.mint("eve", role="host", **live))["role"] == "audience"

    runs.media.people[world.livekit("live")].pop("sara")  # while no engine runs
    world = await runs.start()
    await ask_once(world.engine.core, {})
    await world.clock.advance(20.0)
    assert [member["identity"] for member in stage()["members"]] == ["mona"]
    await world.clock.advance(39.9)
    assert stage()["live"] is True, "the host may come back"
    await world.clock.advance(0.1)
    assert (stage()["live"], stage()["members"]) == (False, [])
    assert not world.may_publish("mona", "live")


async def test_a_restart_does_not_take_the_stage_from_its_absent_host(runs: Runs) -> None:
    before = await runs.start()
    live = {"room": "live", "type": "live_stream"}
    await before.connect("sara", role="host", **live)
    await before.connect("mona", **live)
    await runs.media.disconnect(before.engine.core, before.livekit("live"), "sara")
    world = await runs.start()
    assert (await world.mint("eve", role="host", **live))["role"] == "audience"


async def test_a_real_server_that_lived_on_keeps_who_speaks_speaking(sfu_kind: SfuKind) -> None:
    async with running_sfu(sfu_kind) as sfu, aiohttp.ClientSession() as http:
        options = EngineOptions(
            app_id=GIVEN.app_id,
            app_key=GIVEN.app_key,
            app_secret=GIVEN.app_secret,
            sfu="livekit",
            livekit_url=sfu.url,
            livekit_api_key=sfu.api_key,
            livekit_api_secret=sfu.api_secret,
        )
        async with LocalEngine(options) as engine:
            sara, mona = Client(http, engine, "sara"), Client(http, engine, "mona")
            await sara.mint(role="host", seat_count=4)
            await mona.mint()
            await asyncio.gather(sara.connect(), mona.connect())
            assert await mona.call("POST", "/seats/1/take") == 200
            await mona.until(lambda: mona.may_publish)
        async with LocalEngine(options) as engine:
            sara.engine = mona.engine = engine
            assert await sara.call("POST", "/seats/0/take") == 200
            await mona.until(lambda: mona.occupants == ["sara", "mona", None, None])
            assert mona.may_publish
            await asyncio.gather(sara.room.disconnect(), mona.room.disconnect())
