"""Seats over HTTP: who may, what is pushed, and that 200 takers make 8 winners."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from tests.engine.conftest import World
from tests.fixtures import wire_fixture


async def test_the_grid_has_the_shape_of_the_fixture(world: World) -> None:
    sara = await world.host(host_seat=0, mode_id="grid-4", name="Sara", image="u")
    await world.seats("0/take", sara)
    expected, found = wire_fixture("seats_rest"), await world.grid(sara)
    assert set(found) == set(expected)
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in expected.items()
    }
    for seat, like in zip(found["seats"], expected["seats"], strict=True):
        assert set(seat) == set(like)
        assert type(seat["locked"]) is int
    assert found["seats"][0] == {
        **expected["seats"][0],
        "attributes": {"name": "Sara", "avatar": "u"},
    }


async def test_the_push_and_the_metadata_have_the_shape_of_the_fixture(world: World) -> None:
    sara = await world.host(mode_id="grid-4")
    await world.connect("mona")
    await world.seats("0/take", sara)
    expected = wire_fixture("seats_push")
    sent = world.media.sent[-1]
    message = {key: value for key, value in sent.message.items() if key != "type"}
    assert sent.message["type"] == "_seat_update"
    assert sent.to is None
    assert set(message) == set(expected)
    for seat, like in zip(message["seats"], expected["seats"], strict=True):
        assert set(seat) == set(like)
        assert type(seat["locked"]) is bool
    assert json.loads(world.media.rooms[world.livekit()].metadata)["_seats"] == message


async def test_a_seat_is_the_right_to_publish(world: World) -> None:
    await world.host()
    mona, _ = await world.connect("mona")
    assert not world.may_publish("mona")
    for path, body, may in (
        ("1/take", None, True),
        ("move", {"target_seat": 3}, True),
        ("leave", {}, False),
        ("0/take", {"identity": "mona"}, True),
    ):
        reply = await world.seats(path, mona, body)
        assert reply.status == 200, reply.body
        assert world.may_publish("mona") is may


async def test_moving_answers_from_and_to(world: World) -> None:
    await world.host()
    mona, _ = await world.connect("mona")
    await world.seats("1/take", mona)
    world.media.log.clear()
    reply = await world.seats("move", mona, {"target_seat": 2})
    assert reply.body == {"from": 1, "to": 2}
    assert world.media.log == ["set_room_metadata", "send"]


async def test_metadata_is_written_before_the_push(world: World) -> None:
    await world.host()
    mona, _ = await world.connect("mona")
    world.media.log.clear()
    await world.seats("1/take", mona)
    assert world.media.log == ["set_grant", "set_room_metadata", "send"]


async def test_rev_grows_alike_everywhere(world: World) -> None:
    sara = await world.host()
    mona, _ = await world.connect("mona")
    revs = [(await world.seats("1/take", mona)).body["rev"]]
    revs.append((await world.seats("1/lock", sara)).body["rev"])
    revs.append((await world.seats("1/lock", sara)).body["rev"])
    revs.append((await world.seats("setup", sara, {"seat_count": 2})).body["rev"])
    first = revs[0]
    assert revs == [first, first + 1, first + 1, first + 2]
    assert [sent.message["rev"] for sent in world.media.sent] == [first, first + 1, first + 2]
    assert (await world.grid(sara))["rev"] == first + 2


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("0/take", None, 403, "forbidden"),
        ("1/take", None, 409, "conflict"),
        ("2/take", None, 403, "forbidden"),
        ("4/take", None, 422, "validation"),
        ("-1/take", None, 422, "validation"),
        ("99999999999999999999999/take", None, 422, "validation"),
        ("one/take", None, 404, "notFound"),
        ("1.5/take", None, 404, "notFound"),
        ("٣/take", None, 404, "notFound"),
        ("3/take", {"identity": "sara"}, 403, "forbidden"),
        ("3/take", {"identity": 7}, 422, "validation"),
        ("move", {"target_seat": 3}, 409, "conflict"),
        ("move", {}, 422, "validation"),
        ("move", {"target_seat": "3"}, 422, "validation"),
        ("setup", {"seat_count": 2}, 403, "forbidden"),
        ("1/kick", None, 403, "forbidden"),
        ("1/lock", None, 403, "forbidden"),
        ("2/unlock", None, 403, "forbidden"),
        ("1/mute", None, 403, "forbidden"),
        ("1/unmute", None, 403, "forbidden"),
        ("1/swap", None, 404, "notFound"),
    ],
)
async def test_a_listener_is_refused(
    world: World, path: str, body: object, status: int, code: str
) -> None:
    sara = await world.host(host_seat=0)
    await world.seats("1/take", sara)
    await world.seats("2/lock", sara)
    mona, _ = await world.connect("mona")
    before = await world.grid(sara)
    assert (await world.seats(path, mona, body)).refusal == (status, code)
    assert await world.grid(sara) == before
    assert not world.may_publish("mona")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"seat_count": 101}, 422),
        ({"seat_count": 0}, 422),
        ({"seat_mode": "none"}, 422),
        ({"mode_id": 1}, 422),
        ({"host_seat": 4}, 422),
    ],
)
async def test_setup_is_validated(world: World, body: object, status: int) -> None:
    sara = await world.host()
    assert (await world.seats("setup", sara, body)).status == status


async def test_unknown_rooms_strangers_and_the_app_key_are_refused(world: World) -> None:
    await world.host()
    stranger = await world.bearer("eve", "monday")
    path = "/api/v1/rooms/{}/seats"
    for name, bearer, headers, refusal in (
        ("nowhere", stranger, None, (404, "notFound")),
        ("friday", stranger, None, (403, "forbidden")),
        ("friday", None, world.app, (401, "unauthorized")),
        ("friday", None, None, (401, "unauthorized")),
        ("friday", "x", None, (401, "unauthorized")),
    ):
        reply = await world.call("GET", path.format(name), bearer=bearer, headers=headers)
        assert reply.refusal == refusal
    basic = {"Authorization": "Basic eDp5"}
    reply = await world.call("GET", path.format("friday"), headers=basic)
    assert reply.refusal == (401, "unauthorized")


async def test_a_live_stream_has_no_seats(world: World) -> None:
    sara = await world.bearer("sara", "live", type="live_stream", role="host")
    for method, path in (("GET", ""), ("POST", "/setup"), ("POST", "/0/take")):
        reply = await world.call(method, f"/api/v1/rooms/live/seats{path}", bearer=sara)
        assert reply.refusal == (409, "conflict")


async def test_a_backend_acts_for_whom_it_names(world: World) -> None:
    await world.host(host_seat=0)
    await world.connect("mona")
    path = "/api/v1/rooms/friday/seats"
    reply = await world.call("POST", f"{path}/1/take", {"identity": "mona"}, headers=world.server)
    assert reply.status == 200
    assert world.may_publish("mona")
    reply = await world.call("POST", f"{path}/leave", {}, headers=world.server)
    assert reply.refusal == (422, "validation")
    reply = await world.call("POST", f"{path}/2/take", {"identity": "no"}, headers=world.server)
    assert reply.refusal == (404, "notFound")
    reply = await world.call("POST", f"{path}/1/kick", headers=world.server)
    assert reply.status == 200
    assert not world.may_publish("mona")


async def test_a_trailing_slash_is_accepted(world: World) -> None:
    sara = await world.host()
    assert (await world.seats("1/take/", sara)).status == 200
    reply = await world.call("GET", "/api/v1/rooms/friday/seats/", bearer=sara)
    assert reply.status == 200


async def test_muting_acts_on_the_occupants_audio(world: World) -> None:
    sara = await world.host()
    mona, _ = await world.connect("mona")
    await world.seats("1/take", mona)
    world.media.publish(world.livekit(), "mona")
    for verb, is_muted in (("mute", True), ("mute", True), ("unmute", False)):
        assert (await world.seats(f"1/{verb}", sara)).status == 200
        tracks = world.media.people[world.livekit()]["mona"].tracks
        assert [track.is_muted for track in tracks] == [is_muted]
    assert world.media.log.count("mute") == 2
    assert (await world.seats("2/mute", sara)).refusal == (409, "conflict")


async def test_a_muted_seat_mutes_the_next_track_of_who_sits_there(world: World) -> None:
    sara = await world.host()
    mona, _ = await world.connect("mona")
    await world.seats("1/take", mona)
    core, name = world.engine.core, world.livekit()
    for verb, is_muted in (("mute", True), ("unmute", False)):
        assert (await world.seats(f"1/{verb}", sara)).status == 200
        world.media.publish(name, "mona")
        await core.track_published("friday", "mona")
        tracks = world.media.people[name]["mona"].tracks
        assert [track.is_muted for track in tracks] == [is_muted] * len(tracks)
    await core.track_published("p0000000000_friday", "mona")
    await core.track_published(world.livekit("nowhere"), "mona")


async def test_two_hundred_takers_of_eight_seats_make_eight_winners(world: World) -> None:
    sara = await world.host(seat_count=8)
    takers = [f"user-{number}" for number in range(200)]
    joined = await asyncio.gather(*(world.connect(taker) for taker in takers))

    async def take(number: int) -> int:
        return (await world.seats(f"{number % 8}/take", joined[number][0])).status

    statuses = await asyncio.gather(*(take(number) for number in range(200)))
    assert Counter(statuses) == {200: 8, 409: 192}
    winners = {takers[number] for number, status in enumerate(statuses) if status == 200}
    assert set(await world.occupants(sara)) == winners
    assert {taker for taker in takers if world.may_publish(taker)} == winners
    revs = [sent.message["rev"] for sent in world.media.sent]
    assert revs == sorted(revs)


async def test_one_user_on_many_devices_gets_one_seat(world: World) -> None:
    sara = await world.host(seat_count=8)
    mona, _ = await world.connect("mona")
    replies = await asyncio.gather(*(world.seats(f"{index}/take", mona) for index in range(8)))
    assert Counter(reply.status for reply in replies) == {200: 1, 409: 7}
    assert (await world.occupants(sara)).count("mona") == 1
