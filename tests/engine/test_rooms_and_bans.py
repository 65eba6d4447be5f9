"""Rooms, participants, kicks, bans, and what every error looks like."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import quote

import pytest

from tests.engine.conftest import Reply, World
from tests.engine.fakes import settle
from tests.fixtures import wire_fixture
from utd_rx.engine.media import MediaUnavailable

BAN = "/api/v1/rooms/ban"
BANS = "/api/v1/rooms/bans"


async def ban(
    world: World,
    body: Mapping[str, object],
    *,
    bearer: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Ban, letting the 200 ms between push and removal pass."""
    world.clock.somebody_sleeps.clear()
    call = asyncio.ensure_future(world.call("POST", BAN, body, bearer=bearer, headers=headers))
    slept = asyncio.ensure_future(world.clock.somebody_sleeps.wait())
    await asyncio.wait((call, slept), return_when=asyncio.FIRST_COMPLETED)
    slept.cancel()
    await world.clock.advance(0.2)
    return await call


async def test_a_ban_tells_removes_and_keeps_out(world: World) -> None:
    sara = await world.host()
    minted = await world.mint("mona", name="Mona")
    await world.media.connect(world.engine.core, minted["token"])
    await world.seats("1/take", minted["user_token"])
    body = {"identity": "mona", "room_name": "friday", "reason": "spam", "duration": 60}
    reply = await ban(world, body, bearer=sara)
    assert reply.status == 201
    assert set(reply.body) == set(wire_fixture("bans")["data"][0])
    pushed = next(sent for sent in world.media.sent if sent.message["type"] == "_banned")
    assert pushed.to == ("mona",)
    assert pushed.message["identity"] == "mona"
    assert pushed.message["reason"] == "spam"
    assert pushed.message["expires_at"] == reply.body["expires_at"]
    assert world.media.removed == [(world.livekit(), "mona")]
    assert (await world.occupants(sara))[1] is None

    mint = {"identity": "mona", "room_name": "friday", "type": "audio_room"}
    refused = await world.call("POST", "/api/v1/token", mint, headers=world.app)
    assert refused.status == 403
    assert refused.body == {"message": "User is banned", "code": "banned"}
    refused = await world.seats("1/take", minted["user_token"])
    assert refused.refusal == (403, "banned")
    await world.media.connect(world.engine.core, minted["token"])
    assert "mona" not in world.media.people[world.livekit()]

    assert (await world.mint("mona", "monday"))["role"] == "audience"
    await world.clock.advance(60.0)
    await world.mint("mona")


async def test_a_ban_holds_and_is_carried_out_when_the_media_server_answers_again(
    world: World,
) -> None:
    await world.host()
    await world.connect("mona")
    await world.connect("mona", "monday")
    world.media.is_down = True
    assert (await ban(world, {"identity": "mona"}, headers=world.server)).status == 503
    assert world.media.removed == []
    world.media.is_down = False
    await world.clock.advance(1.0)
    await settle()
    assert sorted(world.media.removed) == [
        (world.livekit(), "mona"),
        (world.livekit("monday"), "mona"),
    ]
    assert not any("mona" in people for people in world.media.people.values())


async def test_who_comes_back_on_an_old_token_in_an_outage_is_removed_after_it(
    world: World,
) -> None:
    await world.host()
    minted = await world.mint("mona")
    await ban(world, {"identity": "mona"}, headers=world.server)
    world.media.is_down = True
    with pytest.raises(MediaUnavailable):
        await world.media.connect(world.engine.core, minted["token"])
    assert "mona" in world.media.people[world.livekit()]
    await settle()
    world.media.is_down = False
    await world.clock.advance(1.0)
    await settle()
    assert "mona" not in world.media.people[world.livekit()]


async def test_a_project_ban_is_the_backends_and_closes_everything(world: World) -> None:
    sara = await world.host()
    await world.connect("mona")
    await world.connect("mona", "monday")
    assert (await ban(world, {"identity": "mona"}, bearer=sara)).refusal == (403, "forbidden")
    assert (await ban(world, {"identity": "mona"}, headers=world.server)).status == 201
    assert len(world.media.removed) == 2
    for path, body in (
        ("/api/v1/token", {"identity": "mona", "room_name": "new", "type": "audio_room"}),
        ("/api/v1/auth/session", {"identity": "mona"}),
    ):
        reply = await world.call("POST", path, body, headers=world.app)
        assert reply.refusal == (403, "banned")


async def test_lifting_a_ban_opens_the_door_and_old_tokens_stay_worthless(world: World) -> None:
    sara = await world.host()
    minted = await world.mint("mona")
    key = {"identity": "mona", "room_name": "friday"}
    await ban(world, key, bearer=sara)
    reply = await world.call("DELETE", BAN, key, bearer=sara)
    assert (reply.status, reply.body["lifted"]) == (200, 1)
    reply = await world.call("DELETE", BAN, key, bearer=sara)
    assert (reply.status, reply.body["lifted"]) == (200, 0)
    await world.media.connect(world.engine.core, minted["token"])
    assert "mona" not in world.media.people[world.livekit()]
    await world.connect("mona")
    assert "mona" in world.media.people[world.livekit()]


async def test_the_list_has_the_shape_of_the_fixture(world: World) -> None:
    sara = await world.host()
    for identity in ("mona", "李雷"):
        await ban(world, {"identity": identity, "room_name": "friday"}, bearer=sara)
    await ban(world, {"identity": "omar"}, headers=world.server)
    fixture = wire_fixture("bans")
    everything = await world.call("GET", BANS, headers=world.server)
    assert set(everything.body) == set(fixture)
    assert set(everything.body["pagination"]) == set(fixture["pagination"])
    assert [set(row) for row in everything.body["data"]] == [set(fixture["data"][0])] * 3
    assert [row["identity"] for row in everything.body["data"]] == ["omar", "李雷", "mona"]
    mine = await world.call("GET", BANS, bearer=sara)
    assert [row["identity"] for row in mine.body["data"]] == ["李雷", "mona"]
    page = await world.call("GET", f"{BANS}?page=2&per_page=2", headers=world.server)
    assert [row["identity"] for row in page.body["data"]] == ["mona"]
    assert page.body["pagination"] == {"page": 2, "per_page": 2, "total": 3, "total_pages": 2}
    mona = await world.bearer("eve")
    assert (await world.call("GET", BANS, bearer=mona)).refusal == (403, "forbidden")
    assert (await world.call("GET", f"{BANS}?room_name=friday", bearer=mona)).status == 403
    assert (await world.call("GET", f"{BANS}?page=0", headers=world.server)).status == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"room_name": "friday"}, 422),
        ({"room_name": "friday", "identity": 7}, 422),
        ({"room_name": "friday", "identity": "mona", "duration": 0}, 422),
        ({"room_name": "friday", "identity": "mona", "duration": "60"}, 422),
        ({"room_name": "friday", "identity": "mona", "duration": 3650 * 24 * 3600 + 1}, 422),
        ({"room_name": "friday", "identity": "mona", "reason": "r" * 501}, 422),
        ({"room_name": "friday", "identity": "sara"}, 422),
        ({"room_name": "fri day", "identity": "mona"}, 422),
        ({"room_name": "", "identity": "mona"}, 422),
        ({"room_name": 7, "identity": "mona"}, 422),
        ({"room_name": "friday", "identity": "mona", "actor_identity": "adam"}, 403),
        ({"room_name": "nowhere", "identity": "mona"}, 404),
    ],
)
async def test_a_bad_ban_is_refused(world: World, body: dict[str, object], status: int) -> None:
    sara = await world.host()
    expected = 403 if not body else status
    assert (await world.call("POST", BAN, body, bearer=sara)).status == expected
    assert (await world.call("GET", BANS, headers=world.server)).body["data"] == []


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_an_empty_room_name_is_not_the_whole_project(world: World, method: str) -> None:
    key: dict[str, object] = {"identity": "mona"}
    await ban(world, {**key, "room_name": None}, headers=world.server)
    before = (await world.call("GET", BANS, headers=world.server)).body
    reply = await world.call(method, BAN, {**key, "room_name": ""}, headers=world.server)
    assert reply.status == 422
    assert (await world.call("GET", BANS, headers=world.server)).body == before


async def test_an_admin_moderates_but_never_the_host(world: World) -> None:
    await world.host()
    fields = {"identity": "adam", "room_name": "friday", "type": "audio_room", "role": "admin"}
    minted = (await world.call("POST", "/api/v1/token", fields, headers=world.server)).body
    adam = minted["user_token"]
    assert minted["role"] == "admin"
    await world.mint("mona")
    assert (await world.call("DELETE", participant("mona"), bearer=adam)).status == 200
    assert (await world.call("DELETE", participant("sara"), bearer=adam)).status == 403
    body = {"identity": "sara", "room_name": "friday"}
    assert (await ban(world, body, bearer=adam)).refusal == (403, "forbidden")
    room = "/api/v1/rooms/friday"
    assert (await world.call("DELETE", room, bearer=adam)).refusal == (403, "forbidden")


def participant(identity: str) -> str:
    return f"/api/v1/rooms/friday/participants/{quote(identity, safe='')}"


async def test_participants_of_any_script_are_found_and_kicked(world: World) -> None:
    sara = await world.host()
    for identity in ("a/b", "李雷", "علي", "a b", "?#%41"):
        await world.connect(identity)
        found = await world.call("GET", participant(identity), bearer=sara)
        assert (found.status, found.body["identity"]) == (200, identity)
        assert found.body["permission"] == {
            "canPublish": False,
            "canSubscribe": True,
            "canPublishData": True,
        }
        assert (await world.call("DELETE", participant(identity), bearer=sara)).status == 200
        assert (await world.call("GET", participant(identity), bearer=sara)).status == 404
        assert (await world.call("DELETE", participant(identity), bearer=sara)).status == 404


async def test_a_member_sees_the_room_and_a_backend_all_rooms(world: World) -> None:
    await world.host()
    mona, _ = await world.connect("mona", name="Mona")
    room = await world.call("GET", "/api/v1/rooms/friday", bearer=mona)
    assert room.status == 200
    assert room.body["room_name"] == "friday"
    assert [(who["identity"], who["role"]) for who in room.body["participants"]] == [
        ("mona", "audience")
    ]
    listed = await world.call("GET", "/api/v1/rooms", headers=world.server)
    assert [row["room_name"] for row in listed.body["data"]] == ["friday"]
    assert listed.body["data"][0]["participant_count"] == 1
    for bearer, headers in ((mona, None), (None, world.app)):
        reply = await world.call("GET", "/api/v1/rooms", bearer=bearer, headers=headers)
        assert reply.status == 403
    project = await world.call("GET", "/api/v1/project", headers=world.server)
    assert project.body["active_rooms"] == 1
    assert project.body["app_id"] == world.engine.app_id


async def test_the_owner_closes_the_room_and_its_tokens_with_it(world: World) -> None:
    minted = await world.mint("sara", role="host", seat_count=4)
    sara = minted["user_token"]
    mona, _ = await world.connect("mona")
    assert (await world.call("DELETE", "/api/v1/rooms/friday", bearer=mona)).status == 403
    assert (await world.call("DELETE", "/api/v1/rooms/friday", bearer=sara)).status == 200
    assert (await world.call("DELETE", "/api/v1/rooms/friday", bearer=sara)).status == 404
    assert world.livekit() not in world.media.rooms
    await world.media.connect(world.engine.core, minted["token"])
    assert world.media.people[world.livekit()] == {}
    assert world.engine.core.rooms.all() == {}


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        ("GET", "/nothing", (404, "notFound")),
        ("GET", "/api/v1/nothing", (404, "notFound")),
        ("PUT", "/api/v1/token", (405, "unknown")),
        ("GET", "/api/v1/token", (405, "unknown")),
        ("GET", "/api/v1/rooms/nowhere", (401, "unauthorized")),
        ("POST", "/livekit/webhook", (401, "unauthorized")),
    ],
)
async def test_every_error_has_message_and_code(
    world: World, method: str, path: str, refusal: tuple[int, str]
) -> None:
    reply = await world.call(method, path)
    assert reply.refusal == refusal
    assert set(reply.body) == {"message", "code"}


async def test_a_failure_nobody_foresaw_says_nothing_about_itself(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("a secret detail")

    monkeypatch.setattr(world.media, "list_rooms", fail)
    reply = await world.call("GET", "/api/v1/rooms", headers=world.server)
    assert reply.status == 500
    assert reply.body == {"message": "Internal error", "code": "server"}
    assert "ZeroDivisionError" in caplog.text


async def test_no_secret_reaches_a_log_or_a_repr(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    minted = await world.mint("sara", role="host", seat_count=4)
    await world.seats("1/take", minted["user_token"])
    engine = world.engine
    shown = caplog.text + repr(engine) + repr(world.secrets) + repr(world.given)
    for secret in (
        engine.app_key,
        engine.app_secret,
        engine.livekit_api_secret,
        minted["token"],
        minted["user_token"],
    ):
        assert secret not in shown


async def test_health_is_at_the_root(world: World) -> None:
    for path in ("/health", "/health/"):
        reply = await world.call("GET", path)
        assert (reply.status, reply.body) == (200, {"status": "ok"})
