"""Roles, chat lock, mutes, metadata, permissions, silence and a backend's data, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engine.conftest import Reply, World
from tests.fixtures import wire_fixture
from utd_rx.engine.routes.rooms import MAX_DATA_BYTES

REPLIES = wire_fixture("moderation")
PUSHES = wire_fixture("pushes")
ROOM = "/api/v1/rooms/friday"


async def put(world: World, path: str, body: object = None, *, bearer: str | None = None) -> Reply:
    """With a bearer, otherwise as the backend."""
    headers = world.server if bearer is None else None
    return await world.call("PUT", f"{ROOM}/{path}", body, bearer=bearer, headers=headers)


def metadata_of(world: World, identity: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.media.people[world.livekit()][identity].metadata)
    return found


def types(world: World) -> list[str]:
    return [sent.message["type"] for sent in world.media.sent]


async def test_a_role_reaches_metadata_pushes_and_the_next_mint(world: World) -> None:
    sara = await world.host()
    minted = await world.mint("علي")
    await world.media.connect(world.engine.core, minted["token"])
    body = {"role": "admin", "actor_identity": "sara"}
    reply = await put(world, "participants/علي/role", body, bearer=sara)
    assert (reply.status, reply.body) == (200, REPLIES["role"])
    assert [dict(sent.message) for sent in world.media.sent] == [PUSHES["_role_change"]]
    assert world.media.sent[0].to is None
    assert metadata_of(world, "علي")["role"] == "admin"
    assert (await world.mint("علي"))["role"] == "admin"
    assert (await world.seats("1/lock", minted["user_token"])).status == 200
    # The old token still says audience; whoever joins late must not.
    await world.media.connect(world.engine.core, minted["token"])
    assert metadata_of(world, "علي")["role"] == "admin"
    reply = await put(world, "participants/علي/role", {"role": "visitor"}, bearer=sara)
    assert reply.body["previous_role"] == "admin"
    assert (await world.seats("1/unlock", minted["user_token"])).refusal == (403, "forbidden")


@pytest.mark.parametrize(
    ("target", "body", "refusal"),
    [
        ("mona", {}, (422, "validation")),
        ("mona", {"role": "king"}, (422, "validation")),
        ("mona", {"role": "host"}, (422, "validation")),
        ("sara", {"role": "admin"}, (422, "validation")),
        ("mona", {"role": "audience"}, (409, "conflict")),
        ("away", {"role": "admin"}, (404, "notFound")),
        ("mona", {"role": "admin", "actor_identity": "mona"}, (403, "forbidden")),
    ],
)
async def test_a_role_that_cannot_be_given(
    world: World, target: str, body: object, refusal: tuple[int, str]
) -> None:
    sara = await world.host()
    await world.connect("mona")
    await world.mint("away")
    reply = await put(world, f"participants/{target}/role", body, bearer=sara)
    assert reply.refusal == refusal
    assert world.media.sent == []


async def test_a_mint_while_connected_changes_the_role_of_who_is_there(world: World) -> None:
    await world.host()
    await world.connect("mona")
    fields = {"identity": "mona", "room_name": "friday", "type": "audio_room", "role": "admin"}
    await world.call("POST", "/api/v1/token", fields, headers=world.server)
    assert metadata_of(world, "mona")["role"] == "admin"


async def test_the_chat_lock_lives_in_metadata_and_is_pushed_once(world: World) -> None:
    sara = await world.host()
    await world.connect("mona")

    def metadata() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(world.media.rooms[world.livekit()].metadata)
        return found

    assert metadata()["_comment_lock"] == {"locked": False}
    for _ in range(2):
        reply = await put(world, "comments/lock", {"locked": True}, bearer=sara)
        assert reply.body == {**REPLIES["comments_lock"], "room_name": "friday"}
    assert metadata()["_comment_lock"] == {"locked": True}
    assert [dict(sent.message) for sent in world.media.sent] == [PUSHES["_comment_lock"]]
    await put(world, "comments/lock", {"locked": False}, bearer=sara)
    assert metadata()["_comment_lock"] == {"locked": False}
    for body in ({}, {"locked": "yes"}, {"locked": None}, {"locked": 1}):
        reply = await put(world, "comments/lock", body, bearer=sara)
        assert reply.refusal == (422, "validation")


async def test_a_live_stream_has_a_chat_lock_too(world: World) -> None:
    sara = await world.bearer("sara", "live", type="live_stream", role="host")
    path = "/api/v1/rooms/live/comments/lock"
    assert (await world.call("PUT", path, {"locked": True}, bearer=sara)).status == 200
    found = json.loads(world.media.rooms[world.livekit("live")].metadata)
    assert found["_comment_lock"] == {"locked": True}


@pytest.mark.parametrize(
    ("body", "muted"),
    [
        ({}, {"audio"}),
        ({"audio": True, "video": False, "muted": True}, {"audio"}),
        ({"audio": False, "video": True}, {"video"}),
        ({"video": True}, {"video"}),
        ({"audio": True, "video": True}, {"audio", "video"}),
        ({"track_sid": "camera"}, {"video"}),
    ],
)
async def test_muting_picks_the_tracks(
    world: World, body: dict[str, object], muted: set[str]
) -> None:
    sara = await world.host()
    await world.connect("mona")
    for kind in ("audio", "video"):
        world.media.publish(world.livekit(), "mona", kind)
    tracks = world.media.people[world.livekit()]["mona"].tracks
    if "track_sid" in body:
        body = {"track_sid": next(track.sid for track in tracks if track.kind == "video")}
    reply = await put(world, "participants/mona/mute", body, bearer=sara)
    assert (reply.status, set(reply.body)) == (200, set(REPLIES["mute"]))
    tracks = world.media.people[world.livekit()]["mona"].tracks
    assert {track.kind for track in tracks if track.is_muted} == muted
    reply = await put(world, "participants/mona/mute", {**body, "muted": False}, bearer=sara)
    assert reply.body == {"identity": "mona", "muted": False}
    tracks = world.media.people[world.livekit()]["mona"].tracks
    assert not any(track.is_muted for track in tracks)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"audio": False}, 422),
        ({"audio": False, "video": False}, 422),
        ({"muted": "yes"}, 422),
        ({"track_sid": "TR_nobodys"}, 404),
        ({"track_sid": "T" * 129}, 422),
    ],
)
async def test_a_mute_that_is_refused(world: World, body: object, status: int) -> None:
    sara = await world.host()
    await world.connect("mona")
    reply = await put(world, "participants/mona/mute", body, bearer=sara)
    assert reply.status == status


async def test_own_metadata_never_overwrites_the_servers_keys(world: World) -> None:
    sara = await world.host()
    mona, _ = await world.connect("mona", metadata={"mood": "sad", "_mint": 99})
    before = metadata_of(world, "mona")
    assert before["_mint"] != 99
    mine = {"mood": "fine", "role": "host", "_mint": 99, "_x": 1, "videoEffects": True}
    for metadata in (mine, json.dumps(mine)):
        reply = await put(world, "participants/mona/metadata", {"metadata": metadata}, bearer=mona)
        assert (reply.status, set(reply.body)) == (200, set(REPLIES["participant_metadata"]))
        assert metadata_of(world, "mona") == {**before, "mood": "fine"}
        assert json.loads(reply.body["metadata"]) == metadata_of(world, "mona")
    reply = await put(world, "participants/mona/metadata", {"metadata": {}}, bearer=sara)
    assert reply.refusal == (403, "forbidden")
    assert (await put(world, "participants/mona/metadata", {"metadata": {}})).status == 200
    assert "mood" not in metadata_of(world, "mona")
    for bad in ({}, {"metadata": "no object"}, {"metadata": [1]}, {"metadata": None}):
        assert (await put(world, "participants/mona/metadata", bad)).status == 422
    sara_reply = await put(world, "participants/sara/metadata", {"metadata": {}}, bearer=sara)
    assert sara_reply.refusal == (404, "notFound"), "not connected"


async def test_metadata_cannot_shake_off_the_mint_serial(world: World) -> None:
    """Else a kicked user's refreshed token would carry no serial to refuse."""
    sara = await world.host()
    minted = await world.mint("mona")
    await world.media.connect(world.engine.core, minted["token"])
    await put(world, "participants/mona/metadata", {"metadata": {}}, bearer=minted["user_token"])
    refreshed = world.media.people[world.livekit()]["mona"]
    await world.call("DELETE", f"{ROOM}/participants/mona", bearer=sara)
    world.media.people[world.livekit()]["mona"] = refreshed
    await world.engine.core.participant_joined("friday", refreshed)
    assert "mona" not in world.media.people[world.livekit()]


async def test_a_backend_writes_room_metadata_beside_the_engines(world: World) -> None:
    sara = await world.host()
    body = {"metadata": {"theme": "dark", "_seats": {"count": 99}, "_comment_lock": 1}}
    reply = await put(world, "metadata", body)
    assert (reply.status, set(reply.body)) == (200, set(REPLIES["room_metadata"]))
    written = json.loads(reply.body["metadata"])
    assert set(written) == set(json.loads(REPLIES["room_metadata"]["metadata"]))
    assert written["_seats"]["count"] == 4
    await world.seats("1/take", sara)
    found = json.loads(world.media.rooms[world.livekit()].metadata)
    assert (found["theme"], found["_seats"]["seats"][1]["identity"]) == ("dark", "sara")


async def test_permissions_are_applied_and_a_seat_is_not_one_of_them(world: World) -> None:
    await world.host()
    mona, _ = await world.connect("mona")
    body: dict[str, object] = {"can_subscribe": True, "can_publish_data": False}
    reply = await put(world, "participants/mona/permissions", body)
    assert reply.body == {**REPLIES["permissions"], "identity": "mona"}
    assert not world.media.people[world.livekit()]["mona"].grant.can_publish_data
    await world.seats("1/take", mona)
    assert world.may_publish("mona")
    refused: dict[int, list[dict[str, object]]] = {
        409: [{"can_publish": False}],
        422: [
            {"can_publish": "no"},
            {"can_publish_sources": ["microphone", "smell"]},
            {"can_publish_sources": "microphone"},
            {"hidden": True},
        ],
    }
    for status, bodies in refused.items():
        for body in bodies:
            reply = await put(world, "participants/mona/permissions", body)
            assert reply.status == status
    assert world.may_publish("mona")


async def test_the_silenced_lose_the_seat_until_resumed(world: World) -> None:
    sara = await world.host()
    mona, _ = await world.connect("mona")
    await world.seats("1/take", mona)
    reply = await put(world, "participants/mona/forbid-stream")
    assert reply.body == {**REPLIES["forbid_stream"], "identity": "mona"}
    assert not world.may_publish("mona")
    assert (await world.occupants(sara))[1] is None
    assert (await world.seats("1/take", mona)).refusal == (403, "forbidden")
    reply = await put(world, "participants/mona/resume-stream")
    assert reply.body == {**REPLIES["resume_stream"], "identity": "mona"}
    assert (await world.seats("1/take", mona)).status == 200


async def test_who_is_there_by_role(world: World) -> None:
    sara = await world.host()
    await world.connect("علي", name="علي")
    await world.connect("mona")
    await put(world, "participants/علي/role", {"role": "admin"}, bearer=sara)
    path = f"{ROOM}/participants/by-role"
    reply = await world.call("GET", f"{path}?role=admin", bearer=sara)
    assert set(reply.body) == set(REPLIES["by_role"])
    assert reply.body["data"] == [{**REPLIES["by_role"]["data"][0], "attributes": {}}]
    reply = await world.call("GET", f"{path}?per_page=1&page=2", bearer=sara)
    assert [row["identity"] for row in reply.body["data"]] == ["mona"]
    assert reply.body["pagination"]["total"] == 2, "the host is not connected"
    for query in ("role=king", "page=0"):
        assert (await world.call("GET", f"{path}?{query}", bearer=sara)).status == 422


async def send(world: World, body: object) -> Reply:
    return await world.call("POST", f"{ROOM}/send-data", body, headers=world.server)


async def test_a_backend_speaks_to_all_or_some(world: World) -> None:
    await world.host()
    data = {"type": "gift", "to": "李雷"}
    assert (await send(world, {"data": data})).body == {"room_name": "friday", "recipients": 0}
    assert world.media.sent == [], "the real server would take 3 s to reach nobody"
    for identity in ("mona", "omar"):
        await world.connect(identity)
    reply = await send(world, {"data": json.dumps(data)})
    assert set(reply.body) == set(REPLIES["send_data"])
    assert reply.body["recipients"] == 2
    reply = await send(world, {"data": data, "destination_identities": ["omar", "nobody"]})
    assert reply.body["recipients"] == 1
    reply = await send(world, {"data": data, "destination_identities": ["nobody"]})
    assert reply.body["recipients"] == 0, "nobody is not everybody"
    assert [(sent.message, sent.to) for sent in world.media.sent] == [
        (data, None),
        (data, ("omar",)),
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"data": "hello"}, 422),
        ({"data": ["a"]}, 422),
        ({"data": {"type": "_banned"}}, 422),
        ({"data": '{"type": "_seat_update"}'}, 422),
        ({"data": '{"type": "x", "type": "_seat_update"}'}, 422),
        ({"data": '\ufeff{"type": "_banned"}'}, 422),
        ({"data": {"text": "x" * MAX_DATA_BYTES}}, 413),
        ({"data": {}, "destination_identities": "mona"}, 422),
        ({"data": {}, "destination_identities": [1]}, 422),
        ({"data": {}, "destination_identities": ["m"] * 1001}, 422),
    ],
)
async def test_what_a_backend_cannot_say(world: World, body: object, status: int) -> None:
    await world.host()
    await world.connect("mona")
    assert (await send(world, body)).status == status
    assert world.media.sent == []


@pytest.mark.parametrize("name", ["ban", "bans"])
async def test_a_room_whose_path_means_something_else_is_not_opened(
    world: World, name: str
) -> None:
    body = {"identity": "sara", "room_name": name, "type": "audio_room", "role": "host"}
    reply = await world.call("POST", "/api/v1/token", body, headers=world.app)
    assert reply.refusal == (422, "validation")
    assert "reserved" in reply.body["message"]
    await world.mint("sara", f"{name}-1")


async def test_a_role_the_media_server_did_not_take_is_not_given(world: World) -> None:
    sara = await world.host()
    await world.connect("mona")
    world.media.is_down = True
    reply = await put(world, "participants/mona/role", {"role": "admin"}, bearer=sara)
    assert reply.refusal == (503, "server")
    world.media.is_down = False
    assert (await world.mint("mona"))["role"] == "audience"
    assert types(world) == []
