"""Who is connected counts as present, also before the media server's report has come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engine.conftest import Reply, World
from tests.engine.fakes import FakeClock, HastyClock

WHO = "/participants/mona"
DEEDS: dict[str, tuple[str, str, dict[str, object]]] = {
    "role": ("PUT", f"{WHO}/role", {"role": "admin"}),
    "mute": ("PUT", f"{WHO}/mute", {"audio": True, "muted": True}),
    "kick": ("DELETE", WHO, {}),
    "invite": ("POST", "/speakers/invite", {"target_identity": "mona", "identity": "sara"}),
    "metadata": ("PUT", f"{WHO}/metadata", {"metadata": {"mood": "fine"}}),
    "permissions": ("PUT", f"{WHO}/permissions", {"can_publish_data": False}),
    "forbid": ("PUT", f"{WHO}/forbid-stream", {}),
    "resume": ("PUT", f"{WHO}/resume-stream", {}),
    "look": ("GET", WHO, {}),
    "data to her": ("POST", "/send-data", {"data": {}, "destination_identities": ["mona"]}),
    "data to all": ("POST", "/send-data", {"data": {}}),
}


@pytest.fixture
def clock() -> FakeClock:
    """One that does not hold up a ban between push and removal."""
    return HastyClock()


async def settle_in(world: World, room: str, *, is_reported: bool) -> None:
    """Open `room`; its host is away, and mona has just joined, with a microphone."""
    await world.mint("sara", room, role="host", seat_count=4)
    minted = await world.mint("mona", room)
    await world.media.connect(world.engine.core, minted["token"], is_reported=is_reported)
    world.media.publish(world.livekit(room), "mona")


def outcome(world: World, room: str, reply: Reply) -> tuple[int, Any, list[object]]:
    """What a deed led to: the answer, who is still there, and what was sent."""
    told = json.dumps(reply.body).replace(room, "ROOM")
    told = json.dumps(
        {k: v for k, v in json.loads(told).items() if k not in ("tracks", "metadata")}
    )
    people = world.media.people[world.livekit(room)].values()
    left = [(who.identity, who.grant, [track.is_muted for track in who.tracks]) for who in people]
    sent = [(s.message.get("type"), s.to) for s in world.media.sent if room in s.room]
    return reply.status, told, [*left, *sent]


@pytest.mark.parametrize("deed", DEEDS)
async def test_what_needs_somebody_present_asks_before_it_says_no(world: World, deed: str) -> None:
    method, path, body = DEEDS[deed]
    found = []
    for room, is_reported in (("told", True), ("held", False)):
        await settle_in(world, room, is_reported=is_reported)
        url = f"/api/v1/rooms/{room}{path}"
        reply = await world.call(method, url, body or None, headers=world.server)
        found.append(outcome(world, room, reply))
    assert found[0][0] == 200
    assert found[0] == found[1]


async def test_a_ban_tells_whom_it_removes_before_they_were_reported(world: World) -> None:
    await settle_in(world, "friday", is_reported=False)
    body = {"identity": "mona", "room_name": "friday"}
    await world.call("POST", "/api/v1/rooms/ban", body, headers=world.server)
    assert [(s.message["type"], s.to) for s in world.media.sent] == [("_banned", ("mona",))]
    assert world.media.people[world.livekit()] == {}


async def test_whose_token_is_worthless_is_found_and_thrown_out(world: World) -> None:
    sara = await world.host()
    minted = await world.mint("mona")
    await world.call("DELETE", "/api/v1/rooms/friday/participants/mona", bearer=sara)
    await world.media.connect(world.engine.core, minted["token"], is_reported=False)
    path = "/api/v1/rooms/friday/participants/mona/role"
    reply = await world.call("PUT", path, {"role": "admin"}, bearer=sara)
    assert reply.refusal == (404, "notFound")
    assert world.media.people[world.livekit()] == {}


async def test_who_is_nowhere_is_still_not_found_and_a_silent_server_is_503(world: World) -> None:
    sara = await world.host()
    path = "/api/v1/rooms/friday/participants/mona/role"
    await world.mint("mona")
    assert (await world.call("PUT", path, {"role": "admin"}, bearer=sara)).status == 404
    world.media.is_down = True
    assert (await world.call("PUT", path, {"role": "admin"}, bearer=sara)).status == 503


async def test_a_late_report_of_who_was_found_changes_nothing(world: World) -> None:
    sara = await world.host()
    minted = await world.mint("mona")
    who = await world.media.connect(world.engine.core, minted["token"], is_reported=False)
    path = "/api/v1/rooms/friday/participants/mona/role"
    assert (await world.call("PUT", path, {"role": "admin"}, bearer=sara)).status == 200
    before = world.engine.core.rooms.all()["friday"]
    await world.engine.core.participant_joined("friday", who)
    assert world.engine.core.rooms.all()["friday"] == before
    assert json.loads(world.media.people[world.livekit()]["mona"].metadata)["role"] == "admin"


async def test_a_name_no_room_can_have_is_not_asked_for(world: World) -> None:
    for name in ("A" * 200, "a%20b", "%00", "é"):
        reply = await world.call("GET", f"/api/v1/rooms/{name}/seats", headers=world.server)
        assert reply.refusal == (404, "notFound")
    assert world.media.log == []
    reply = await world.call("GET", "/api/v1/rooms/friday/seats", headers=world.server)
    assert reply.refusal == (404, "notFound")
    assert world.media.log == ["list_participants"]
    assert world.engine.core.rooms.names() == ()
