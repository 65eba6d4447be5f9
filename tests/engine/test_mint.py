"""Minting: what is refused, what is granted, what the tokens carry."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from tests.engine.conftest import World
from tests.fixtures import wire_fixture
from utd_rx.engine.options import EngineOptions

TOKEN = "/api/v1/token"
GOOD: dict[str, Any] = {"identity": "mona", "room_name": "friday", "type": "audio_room"}


def signal_url(world: World) -> str:
    return world.engine.base_url.replace("http://", "ws://") + "/api/v1/signal"


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def metadata(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(claims(token)["metadata"])
    return found


async def test_the_reply_has_the_shape_of_the_fixture(world: World) -> None:
    fixture = wire_fixture("token")
    reply = await world.call("POST", TOKEN, fixture["request"], headers=world.app)
    assert reply.status == 200
    assert set(reply.body) == set(fixture["replies"]["local"]["wire"])
    assert reply.body["ws_url"] == signal_url(world)
    assert reply.body["roomName"] == reply.body["room_name"] == fixture["request"]["room_name"]
    assert reply.body["role"] == "host"
    assert reply.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_a_session_has_the_shape_of_the_fixture(world: World) -> None:
    fixture = wire_fixture("session")
    reply = await world.call("POST", "/api/v1/auth/session", fixture["request"], headers=world.app)
    assert reply.status == 200
    local = fixture["replies"]["local"]["wire"]
    flags = ("signaling_enabled", "messaging_enabled")
    assert set(reply.body) == set(local)
    assert {key: reply.body[key] for key in flags} == {key: local[key] for key in flags}
    assert reply.body["ws_url"] == signal_url(world)
    assert claims(reply.body["user_token"])["sub"] == fixture["request"]["identity"]


@pytest.mark.parametrize(
    "change",
    [
        {"identity": None},
        {"identity": ""},
        {"identity": 7},
        {"identity": ["mona"]},
        {"identity": "a\nb"},
        {"identity": "\ud800"},
        {"identity": "x" * 129},
        {"identity": "🎙" * 65},
        {"room_name": None},
        {"room_name": 7},
        {"room_name": "no spaces"},
        {"room_name": "x" * 129},
        {"type": None},
        {"type": "rooms"},
        {"type": ["audio_room"]},
        {"type": "audio_call"},
        {"type": "video_call"},
        {"role": "king"},
        {"role": 1},
        {"name": 7},
        {"name": "n" * 257},
        {"name": "a\x00"},
        {"image": {}},
        {"seat_count": 0},
        {"seat_count": 101},
        {"seat_count": "8"},
        {"seat_count": True},
        {"seat_count": 2.5},
        {"seat_mode": "open"},
        {"host_seat": -1},
        {"role": "host", "seat_count": 4, "host_seat": 4},
        {"mode_id": 4},
        {"mode_id": "m" * 65},
        {"image": "i" * 2049},
        {"device_model": "m" * 101},
        {"os": "o" * 51},
        {"os_version": "v" * 21},
        {"app_version": "v" * 21},
        {"device_id": {}},
        {"metadata": "text"},
        {"metadata": {"n": float("nan")}},
        {"metadata": {"s": "\ud800"}},
    ],
)
async def test_a_bad_field_is_422(world: World, change: dict[str, object]) -> None:
    reply = await world.call("POST", TOKEN, {**GOOD, **change}, headers=world.app)
    assert reply.refusal == (422, "validation")
    assert not world.media.rooms


@pytest.mark.parametrize("identity", ["x" * 128, "é" * 128, "🎙" * 64])
async def test_an_identity_may_be_as_long_as_livekit_takes_it(world: World, identity: str) -> None:
    assert claims((await world.mint(identity))["token"])["sub"] == identity


async def test_the_words_of_the_original(world: World) -> None:
    reply = await world.call("POST", TOKEN, {}, headers=world.app)
    assert reply.body["message"] == "identity and room_name are required"
    reply = await world.call("POST", TOKEN, GOOD, headers={})
    assert reply.refusal == (401, "unauthorized")
    reply = await world.call("POST", TOKEN, GOOD, headers={**world.app, "X-App-Key": "0" * 32})
    assert reply.body == {"message": "Invalid credentials", "code": "unauthorized"}


@pytest.mark.parametrize("body", [b"[]", b"{", b'"x"', b"7", b"\xff", b"[" * 20_000])
async def test_what_is_no_object_is_422(world: World, body: bytes) -> None:
    reply = await world.call("POST", TOKEN, data=body, headers=world.app)
    assert reply.refusal == (422, "validation")


async def test_a_large_body_is_413(world: World) -> None:
    reply = await world.call("POST", TOKEN, data=b" " * 65_537, headers=world.app)
    assert reply.refusal == (413, "validation")
    padded = json.dumps(GOOD).encode().ljust(65_536)
    assert (await world.call("POST", TOKEN, data=padded, headers=world.app)).status == 200


@pytest.mark.parametrize("name", ["call_abc", "call_" + "0" * 24])
async def test_a_calls_room_is_403(world: World, name: str) -> None:
    reply = await world.call("POST", TOKEN, {**GOOD, "room_name": name}, headers=world.app)
    assert reply.refusal == (403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-App-Id": "{id}"},
        {"X-App-Key": "{key}"},
        {"X-App-Id": "{id}", "X-App-Key": "{key}x"},
        {"X-App-Id": "1234567890", "X-App-Key": "{key}"},
        {"X-App-Id": "{id}", "X-App-Key": "{secret}"},
        {"X-App-Id": "{id}", "X-App-Secret": "{key}"},
        {"X-App-Id": "{id}", "X-App-Key": "é"},
        {"X-App-Id": "{id}", "X-App-Key": "{key}", "X-App-Secret": "wrong"},
    ],
)
async def test_wrong_credentials_are_401(world: World, headers: dict[str, str]) -> None:
    engine = world.engine
    sent = {
        name: value.format(id=engine.app_id, key=engine.app_key, secret=engine.app_secret)
        for name, value in headers.items()
    }
    for path in (TOKEN, "/api/v1/auth/session"):
        reply = await world.call("POST", path, GOOD, headers=sent)
        assert reply.refusal == (401, "unauthorized")


async def test_an_audio_rooms_token_says_that_it_may_not_publish(world: World) -> None:
    minted = await world.mint("sara", role="host", seat_count=4)
    video = claims(minted["token"])["video"]
    assert video["canPublish"] is False
    assert video["canSubscribe"] is True
    assert video["canPublishData"] is True
    assert video["canUpdateOwnMetadata"] is False
    assert video["room"] == world.livekit()
    assert claims(minted["token"])["exp"] - claims(minted["token"])["nbf"] == 3600


async def test_a_token_minted_on_a_seat_may_speak_and_nothing_else(world: World) -> None:
    sara = await world.host()
    await world.seats("1/take", sara)
    video = claims((await world.mint("sara"))["token"])["video"]
    assert video["canPublish"] is True
    assert video["canPublishSources"] == ["microphone"]


async def test_a_live_streams_host_publishes_by_role(world: World) -> None:
    host = await world.mint("sara", "live", type="live_stream", role="host")
    viewer = await world.mint("mona", "live", type="live_stream", role="host")
    assert claims(host["token"])["video"]["canPublish"] is True
    sources = ["microphone", "camera", "screen_share", "screen_share_audio"]
    assert claims(host["token"])["video"]["canPublishSources"] == sources
    assert claims(viewer["token"])["video"]["canPublish"] is False
    assert viewer["role"] == "audience"


async def test_the_metadata_is_the_servers(world: World) -> None:
    custom = {"role": "host", "_mint": 0, "team": "red", "videoEffects": True, "_device": 1}
    minted = await world.mint(
        "mona", metadata=custom, device_id="d1", device_model="P9", os_version="14", image="u"
    )
    found = metadata(minted["token"])
    assert found.pop("_mint") >= 1
    assert found == {
        "team": "red",
        "image": "u",
        "role": "audience",
        "type": "audio_room",
        "service": "rooms",
        "appId": world.engine.app_id,
        "projectId": world.engine.app_id,
        "videoEffects": False,
        "_device": {"device_id": "d1", "device_model": "P9", "os_version": "14"},
    }
    assert metadata((await world.mint("mona", os="android"))["token"])["videoEffects"] is True


async def test_every_mint_has_a_later_serial(world: World) -> None:
    serials = [metadata((await world.mint("mona"))["token"])["_mint"] for _ in range(3)]
    assert serials == sorted(set(serials))


async def test_the_bearer_names_app_identity_and_device_and_no_role(world: World) -> None:
    found = claims((await world.mint("mona", device_id="d1"))["user_token"])
    assert found["sub"] == "mona"
    assert found["app"] == world.engine.app_id
    assert found["device"] == "d1"
    assert found["exp"] - found["iat"] == 24 * 3600
    assert not {"role", "room", "video"} & set(found)


async def test_type_must_match_the_room(world: World) -> None:
    await world.mint("sara", role="host")
    reply = await world.call("POST", TOKEN, {**GOOD, "type": "live_stream"}, headers=world.app)
    assert reply.refusal == (409, "conflict")


async def test_the_owner_id_is_believed_only_with_the_secret(world: World) -> None:
    claimed = {**GOOD, "role": "host", "room_owner_id": "sara"}
    assert (await world.call("POST", TOKEN, claimed, headers=world.app)).body["role"] == "host"
    other = {**claimed, "room_name": "monday"}
    reply = await world.call("POST", TOKEN, other, headers=world.server)
    assert reply.body["role"] == "audience"
    sara = {**other, "identity": "sara"}
    assert (await world.call("POST", TOKEN, sara, headers=world.app)).body["role"] == "host"


async def test_permissions_count_only_with_the_secret_and_without_a_role(world: World) -> None:
    live = {**GOOD, "type": "live_stream", "permissions": {"canPublish": True}}
    tries = [(live, world.server, True), (live, world.app, False)]
    tries.append(({**live, "role": "audience"}, world.server, False))
    for number, (body, headers, may) in enumerate(tries):
        sent = {**body, "room_name": f"live{number}"}
        reply = await world.call("POST", TOKEN, sent, headers=headers)
        assert claims(reply.body["token"])["video"]["canPublish"] is may


async def test_the_host_seeds_the_grid_and_it_stands_in_the_rooms_metadata(world: World) -> None:
    await world.host(seat_count=3, seat_mode="request", host_seat=1, mode_id="trio")
    found = json.loads(world.media.rooms[world.livekit()].metadata)["_seats"]
    assert found["count"] == 3
    assert found["mode"] == "request"
    assert found["mode_id"] == "trio"
    assert found["seats"][1]["reserved_for"] == "sara"


async def test_seat_arguments_of_others_do_nothing(world: World) -> None:
    sara = await world.bearer("sara", role="host")
    await world.mint("mona", role="host", seat_count=9)
    assert (await world.grid(sara))["seat_count"] == 0


async def test_a_media_server_that_is_down_is_503_and_leaves_no_room(world: World) -> None:
    world.media.is_down = True
    reply = await world.call("POST", TOKEN, GOOD, headers=world.app)
    assert reply.refusal == (503, "server")
    assert not world.engine.core.rooms.all()


async def test_a_livekit_token_is_no_bearer(world: World) -> None:
    minted = await world.mint("mona")
    reply = await world.call("GET", "/api/v1/rooms/friday/seats", bearer=minted["token"])
    assert reply.refusal == (401, "unauthorized")


async def test_a_bearer_expires(world: World) -> None:
    mona = await world.bearer("mona")
    path = "/api/v1/rooms/friday/seats"
    await world.clock.advance(24 * 3600 - 1)
    assert (await world.call("GET", path, bearer=mona)).status == 200
    await world.clock.advance(1)
    assert (await world.call("GET", path, bearer=mona)).refusal == (401, "unauthorized")


async def test_a_foreign_or_unsigned_bearer_is_401(world: World) -> None:
    payload = {
        "iss": "utd-rx-engine",
        "app": world.engine.app_id,
        "sub": "mona",
        "exp": int(world.clock.wall()) + 60,
    }
    await world.mint("mona")
    foreign = jwt.encode(payload, "x" * 64, algorithm="HS256")
    unsigned = jwt.encode(payload, "", algorithm="none")
    for token in (foreign, unsigned, "", "..."):
        reply = await world.call("GET", "/api/v1/rooms/friday/seats", bearer=token)
        assert reply.refusal == (401, "unauthorized")


class TestRateLimit:
    @pytest.fixture
    def engine_options(self) -> EngineOptions:
        return EngineOptions(rate_limit=2)

    async def test_mints_are_counted_apart(self, world: World) -> None:
        for _ in range(2):
            await world.mint("mona")
        reply = await world.call("POST", TOKEN, GOOD, headers=world.app)
        assert reply.refusal == (429, "rateLimited")
        assert reply.headers["Retry-After"] == "60"
        assert (await world.call("GET", "/api/v1/project", headers=world.server)).status == 200
        assert (await world.call("GET", "/health")).status == 200
        await world.clock.advance(59.5)
        reply = await world.call("POST", TOKEN, GOOD, headers=world.app)
        assert (reply.status, reply.headers["Retry-After"]) == (429, "1")
        await world.clock.advance(0.5)
        await world.mint("mona")
