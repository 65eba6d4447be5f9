"""The socket that both mints point to takes their bearers, and a backend hears who is online."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.engine.backend import SECRET, Backend, running_backend
from tests.engine.conftest import World
from tests.engine.fakes import settle
from tests.engine.signalling import Wire, connected
from utd_rx.engine.options import EngineOptions, make_secrets
from utd_rx.engine.rules.signal_book import OFFLINE_SECONDS
from utd_rx.engine.serving import GuestLimits
from utd_rx.engine.signal_socket import MAX_FRAME_BYTES
from utd_rx.engine.signed_tokens import SignedTokens
from utd_rx.engine.tokens import USER_TOKEN_SECONDS, UserClaims, device_of
from utd_rx.errors import UTDStreamException


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with running_backend() as found:
        yield found


@pytest.fixture
def engine_options(backend: Backend) -> EngineOptions:
    return EngineOptions(app_secret=SECRET, webhook_url=backend.url)


async def session(world: World, identity: str, device: str | None = None) -> dict[str, str]:
    body = {"identity": identity, **({} if device is None else {"device_id": device})}
    reply = await world.call("POST", "/api/v1/auth/session", body, headers=world.app)
    assert reply.status == 200, reply.body
    return reply.body


@asynccontextmanager
async def authenticated(world: World, minted: dict[str, str]) -> AsyncIterator[Wire]:
    async with connected(world.http, minted["ws_url"], minted["user_token"]) as wire:
        yield wire


async def test_the_bearers_of_both_mints_are_taken(world: World) -> None:
    async with authenticated(world, await session(world, "mona")) as mona:
        await mona.is_refused_politely()
    async with authenticated(world, await world.mint("sara")) as sara:
        await sara.is_refused_politely()


async def test_who_is_known_may_say_more_than_a_guest(world: World) -> None:
    async with authenticated(world, await session(world, "mona")) as wire:
        for _ in range(GuestLimits().received // MAX_FRAME_BYTES + 1):
            await wire.ws.send_str("x" * (MAX_FRAME_BYTES - 1))
            assert (await wire.hear())["type"] == "error"


async def test_a_device_replaces_itself_and_no_other(world: World) -> None:
    phone, laptop = [await session(world, "mona", device) for device in ("phone", "laptop")]
    async with (
        authenticated(world, phone) as first,
        authenticated(world, laptop) as other,
        authenticated(world, phone),
    ):
        assert await first.end() == 4008
        await other.is_refused_politely()


async def test_bearers_without_a_device_are_devices_of_their_own(world: World) -> None:
    one = await session(world, "mona")
    await world.clock.advance(1)
    another = await session(world, "mona")
    async with authenticated(world, one) as first, authenticated(world, another) as second:
        await first.is_refused_politely()
        await second.is_refused_politely()
        async with authenticated(world, another):
            assert await second.end() == 4008


def test_the_key_of_a_device() -> None:
    assert device_of(UserClaims("mona", "phone"), "token") == "phone"
    digest = "3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0"  # sha256sum
    assert device_of(UserClaims("mona"), "token") == f"token:{digest[:16]}"


async def test_a_ban_from_the_project_closes_and_keeps_out(world: World) -> None:
    minted = await session(world, "mona")
    async with (
        authenticated(world, minted) as wire,
        connected(world.http, minted["ws_url"]) as late,
    ):
        body = {"identity": "mona"}
        await world.call("POST", "/api/v1/rooms/ban", body, headers=world.server)
        assert await wire.end() == 4003
        await late.say({"type": "auth", "token": minted["user_token"]})
        assert await late.end() == 4003
        await world.call("DELETE", "/api/v1/rooms/ban", body, headers=world.server)
    async with authenticated(world, minted) as wire:
        await wire.is_refused_politely()


async def test_a_ban_from_a_room_is_none_from_the_socket(world: World) -> None:
    await world.host()
    async with authenticated(world, await session(world, "mona")) as wire:
        body = {"identity": "mona", "room_name": "friday"}
        await world.call("POST", "/api/v1/rooms/ban", body, headers=world.server)
        await wire.is_refused_politely()


async def test_a_bearer_that_has_ended_is_refused_and_one_that_ends_ends_its_socket(
    world: World,
) -> None:
    minted = await session(world, "mona")
    async with authenticated(world, minted) as wire:
        await world.clock.advance(USER_TOKEN_SECONDS)
        assert await wire.end() == 4001
    async with connected(world.http, minted["ws_url"]) as wire:
        await wire.say({"type": "auth", "token": minted["user_token"]})
        assert await wire.end() == 4001


@pytest.mark.parametrize("token", ["", "x", "\ud800", "é", "." * 1000, "[" * 100_000 + ".."])
async def test_what_is_no_token_is_4001(world: World, token: str) -> None:
    async with connected(world.http, (await session(world, "mona"))["ws_url"]) as wire:
        await wire.say({"type": "auth", "token": token})
        assert await wire.end() == 4001


async def test_tokens_of_others_are_4001(world: World) -> None:
    minted, now = await world.mint("mona"), world.clock.wall()
    strangers = SignedTokens(make_secrets(EngineOptions())).sign_bearer(UserClaims("mona"), now)
    for token in (minted["token"], strangers):
        async with connected(world.http, minted["ws_url"]) as wire:
            await wire.say({"type": "auth", "token": token})
            assert await wire.end() == 4001


def test_a_bearer_says_when_it_ends() -> None:
    secrets = make_secrets(EngineOptions())
    token = SignedTokens(secrets).sign_bearer(UserClaims("mona", "phone"), 100.0)
    assert SignedTokens(secrets).read_bearer(token, 100.0) == UserClaims(
        "mona", "phone", 100 + USER_TOKEN_SECONDS
    )


async def test_without_an_upgrade_there_is_nothing(world: World) -> None:
    reply = await world.call("GET", "/api/v1/signal")
    assert reply.refusal == (400, "validation")
    reply = await world.call("POST", "/api/v1/signal", {})
    assert reply.status == 405


async def test_a_backend_hears_who_is_online(world: World, backend: Backend) -> None:
    async with authenticated(world, await session(world, "mona")):
        got = await backend.next()
        assert (got.event, got.body["participant"]) == ("user_online", {"identity": "mona"})
    await settle()
    await world.clock.advance(OFFLINE_SECONDS)
    got = await backend.next()
    assert (got.event, got.body["participant"]) == ("user_offline", {"identity": "mona"})


@pytest.mark.parametrize(
    "url", ["", "ftp://x/", "x", "http://", "http:///x", "http://x:0/", "http://[::1/", "//x"]
)
def test_a_webhook_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UTDStreamException, match="webhook_url"):
        EngineOptions(webhook_url=url)
