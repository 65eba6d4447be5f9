"""Requests and invitations over HTTP: replies and pushes as the fixtures have them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from tests.engine.conftest import Reply, World
from tests.engine.fakes import Sent
from tests.fixtures import wire_fixture

REPLIES = wire_fixture("speakers")
PUSHES = wire_fixture("pushes")


async def speakers(
    world: World, method: str, path: str, bearer: str | None, body: object = None
) -> Reply:
    headers = world.server if bearer is None else None
    url = f"/api/v1/rooms/friday/speakers/{path}"
    return await world.call(method, url, body, bearer=bearer, headers=headers)


def pushed(world: World, type_: str) -> Sent:
    """The newest push of a type; it must have the fixture's shape."""
    sent = next(s for s in reversed(world.media.sent) if s.message["type"] == type_)
    expected = PUSHES[type_]
    assert list(sent.message) == list(expected)
    assert [type(v) for v in sent.message.values()] == [type(v) for v in expected.values()]
    return sent


def metadata(world: World) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(world.media.rooms[world.livekit()].metadata)
    return found


async def host(world: World, **fields: Any) -> str:
    """The host, connected, of a room in request mode."""
    fields = {"role": "host", "seat_count": 2, "seat_mode": "request", **fields}
    return (await world.connect("sara", **fields))[0]


async def test_from_the_request_to_the_seat(world: World) -> None:
    sara = await host(world)
    mona, _ = await world.connect("mona", name="Mona")
    reply = await speakers(world, "POST", "request", mona)
    assert (reply.status, set(reply.body)) == (200, set(REPLIES["request"]))
    id_ = reply.body["request_id"]
    told = pushed(world, "_speaker_request")
    assert told.to == ("sara",)
    assert (told.message["request_id"], told.message["identity"]) == (id_, "mona")
    listed = await speakers(world, "GET", "requests", mona)
    assert listed.body == {
        "requests": [{"id": id_, "identity": "mona", "created_at": told.message["created_at"]}]
    }
    assert set(listed.body["requests"][0]) == set(REPLIES["requests"]["requests"][0])
    assert metadata(world)["_seats"]["requests"] == listed.body["requests"]
    assert not world.may_publish("mona")

    reply = await speakers(world, "POST", f"requests/{id_}/approve", sara)
    assert reply.body == {"request_id": id_, "identity": "mona", "seat_index": 0}
    assert list(reply.body) == list(REPLIES["approve"])
    assert world.may_publish("mona")
    told = pushed(world, "_speaker_request_approved")
    assert (told.to, told.message["seat_index"]) == (("mona",), 0)
    grid = await world.grid(sara)
    assert grid["requests"] == []
    assert grid["seats"][0]["attributes"] == {"name": "Mona"}


async def test_rejecting_and_cancelling(world: World) -> None:
    sara = await host(world)
    mona, _ = await world.connect("mona")
    id_ = (await speakers(world, "POST", "request", mona)).body["request_id"]
    reply = await speakers(world, "POST", f"requests/{id_}/reject", sara)
    assert list(reply.body) == list(REPLIES["reject"])
    assert pushed(world, "_speaker_request_rejected").to == ("mona",)
    id_ = (await speakers(world, "POST", "request", mona)).body["request_id"]
    assert (await speakers(world, "DELETE", "request", mona)).body == {"request_id": id_}
    reply = await speakers(world, "DELETE", "request", mona)
    assert (reply.status, reply.body) == (200, REPLIES["cancel_nothing"])


@pytest.mark.parametrize("seat_index", [None, 1])
async def test_from_the_invitation_to_the_seat(world: World, seat_index: int | None) -> None:
    sara = await host(world)
    mona, _ = await world.connect("mona")
    body: dict[str, object] = {"target_identity": "mona"}
    if seat_index is not None:
        body["seat_index"] = seat_index
    reply = await speakers(world, "POST", "invite", sara, body)
    assert (reply.status, set(reply.body)) == (200, set(REPLIES["invite"]))
    id_ = reply.body["invitation_id"]
    if seat_index is not None:
        assert pushed(world, "_speaker_invitation").to == ("mona",)
    assert (await speakers(world, "POST", "invite", sara, body)).refusal == (409, "conflict")
    reply = await speakers(world, "POST", f"invitations/{id_}/accept", mona)
    assert reply.body == {"invitation_id": id_, "seat_index": seat_index or 0}
    assert list(reply.body) == list(REPLIES["accept"])
    told = pushed(world, "_speaker_invitation_accepted")
    assert (told.to, told.message["seat_index"]) == (("sara",), seat_index or 0)
    assert world.may_publish("mona")


async def test_the_invitee_can_ask_what_was_offered_and_for_how_long(world: World) -> None:
    sara = await host(world)
    mona, _ = await world.connect("mona")
    assert (await speakers(world, "GET", "invitations", mona)).body == {"invitations": []}
    body = {"target_identity": "mona", "seat_index": 1}
    id_ = (await speakers(world, "POST", "invite", sara, body)).body["invitation_id"]
    await world.clock.advance(20.0)
    [listed] = (await speakers(world, "GET", "invitations", mona)).body["invitations"]
    assert listed == {
        "invitation_id": id_,
        "inviter_identity": "sara",
        "target_identity": "mona",
        "seat_index": 1,
        "expires_in": 40.0,
    }
    assert list(listed) == list(REPLIES["invitations"]["invitations"][0])
    assert (await speakers(world, "GET", "invitations", sara)).body == {"invitations": []}
    await world.clock.advance(40.0)
    assert (await speakers(world, "GET", "invitations", mona)).body == {"invitations": []}


async def test_sitting_down_otherwise_ends_the_invitation(world: World) -> None:
    sara = await host(world, seat_mode="free")
    mona, _ = await world.connect("mona")
    body = {"target_identity": "mona"}
    id_ = (await speakers(world, "POST", "invite", sara, body)).body["invitation_id"]
    await world.seats("1/take", mona)
    assert (await speakers(world, "GET", "invitations", mona)).body == {"invitations": []}
    reply = await speakers(world, "POST", f"invitations/{id_}/accept", mona)
    assert reply.refusal == (404, "notFound")


async def test_declining(world: World) -> None:
    sara = await host(world)
    mona, _ = await world.connect("mona")
    body = {"target_identity": "mona"}
    id_ = (await speakers(world, "POST", "invite", sara, body)).body["invitation_id"]
    assert (await speakers(world, "POST", f"invitations/{id_}/decline", sara)).status == 403
    reply = await speakers(world, "POST", f"invitations/{id_}/decline", mona)
    assert (reply.status, reply.body) == (200, {"invitation_id": id_})
    assert pushed(world, "_speaker_invitation_declined").to == ("sara",)
    assert (await speakers(world, "POST", f"invitations/{id_}/accept", mona)).status == 404


async def test_an_invitation_ends_after_60_s_and_with_either_party(world: World) -> None:
    sara = await host(world)
    mona, _ = await world.connect("mona")
    for end in ("time", "mona", "kick"):
        body = {"target_identity": "mona"}
        id_ = (await speakers(world, "POST", "invite", sara, body)).body["invitation_id"]
        if end == "time":
            await world.clock.advance(60.0)
        elif end == "mona":
            await world.media.disconnect(world.engine.core, world.livekit(), "mona", grace=0.0)
        else:
            path = "/api/v1/rooms/friday/participants/mona"
            assert (await world.call("DELETE", path, bearer=sara)).status == 200
        if end != "time":
            mona, _ = await world.connect("mona")
        reply = await speakers(world, "POST", f"invitations/{id_}/accept", mona)
        assert reply.refusal == (404, "notFound")


async def test_with_no_seat_free_the_request_stays(world: World) -> None:
    sara = await host(world, seat_count=1)
    await world.seats("0/take", sara)
    mona, _ = await world.connect("mona")
    id_ = (await speakers(world, "POST", "request", mona)).body["request_id"]
    reply = await speakers(world, "POST", f"requests/{id_}/approve", sara)
    assert reply.refusal == (409, "conflict")
    assert len((await world.grid(sara))["requests"]) == 1


async def test_without_a_moderator_connected_nobody_else_hears_of_a_request(world: World) -> None:
    await world.host(seat_mode="request")
    mona, _ = await world.connect("mona")
    await speakers(world, "POST", "request", mona)
    assert [sent.message["type"] for sent in world.media.sent] == ["_seat_update"]


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("POST", "requests/x/approve", None, (404, "notFound")),
        ("POST", "requests/-1/approve", None, (404, "notFound")),
        ("POST", "requests/99999999999999999999/reject", None, (404, "notFound")),
        ("POST", "invitations/x/accept", None, (404, "notFound")),
        ("POST", "invite", {}, (422, "validation")),
        ("POST", "invite", {"target_identity": 7}, (422, "validation")),
        ("POST", "invite", {"target_identity": "a\n"}, (422, "validation")),
        ("POST", "invite", {"target_identity": "nobody"}, (404, "notFound")),
        ("POST", "invite", {"target_identity": "sara"}, (422, "validation")),
        ("POST", "invite", {"target_identity": "mona", "seat_index": 9}, (422, "validation")),
        ("POST", "invite", {"target_identity": "mona", "seat_index": "1"}, (422, "validation")),
        ("POST", "invite", {"target_identity": "mona", "identity": "x"}, (403, "forbidden")),
        ("PUT", "request", None, (405, "unknown")),
    ],
)
async def test_a_bad_call_is_refused(
    world: World, method: str, path: str, body: object, refusal: tuple[int, str]
) -> None:
    sara = await host(world)
    await world.connect("mona")
    assert (await speakers(world, method, path, sara, body)).refusal == refusal


async def test_in_free_mode_and_in_a_live_stream_there_is_nothing_to_request(world: World) -> None:
    sara = await world.host()
    assert (await speakers(world, "POST", "request", sara)).refusal == (409, "conflict")
    live = await world.bearer("sara", "live", type="live_stream", role="host")
    for method, path in (("POST", "request"), ("GET", "requests"), ("GET", "invitations")):
        url = f"/api/v1/rooms/live/speakers/{path}"
        assert (await world.call(method, url, bearer=live)).refusal == (409, "conflict")


async def test_many_approvals_at_once_seat_as_many_as_there_are_seats(world: World) -> None:
    sara = await host(world, seat_count=3)
    ids = []
    for number in range(10):
        bearer, _ = await world.connect(f"user-{number}")
        ids.append((await speakers(world, "POST", "request", bearer)).body["request_id"])
    # Twice each: two moderators press at the same time.
    replies = await asyncio.gather(
        *(speakers(world, "POST", f"requests/{id_}/approve", sara) for id_ in ids * 2)
    )
    found = Counter(reply.status for reply in replies)
    assert found[200] == 3
    assert set(found) <= {200, 404, 409}
    grid = await world.grid(sara)
    seated = {seat["occupant_identity"] for seat in grid["seats"]}
    assert seated == {f"user-{n}" for n in range(10) if world.may_publish(f"user-{n}")}
    assert len(grid["requests"]) == 7


async def test_a_request_the_media_server_did_not_grant_stays_pending(world: World) -> None:
    sara = await host(world)
    mona, _ = await world.connect("mona")
    id_ = (await speakers(world, "POST", "request", mona)).body["request_id"]
    world.media.is_down = True
    reply = await speakers(world, "POST", f"requests/{id_}/approve", sara)
    assert reply.refusal == (503, "server")
    world.media.is_down = False
    assert (await speakers(world, "POST", f"requests/{id_}/approve", sara)).status == 200
