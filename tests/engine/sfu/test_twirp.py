"""Every RoomService call, what clients see of it, and how it is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import aiohttp
import jwt
import pytest
from livekit import api, rtc

from tests.engine.sfu.clients import Client, Microphone, heard
from tests.engine.sfu.conftest import Join
from tests.support.sfu import RunningSfu
from utd_rx.engine.sfu.limits import MAX_ENTRIES

MakeMicrophone = Callable[[Client], Microphone]


async def test_rooms_are_made_listed_and_deleted(
    join: Join, admin: api.LiveKitAPI, room_name: str
) -> None:
    made = await admin.room.create_room(
        api.CreateRoomRequest(
            name=room_name, metadata="m", max_participants=7, empty_timeout=60, departure_timeout=9
        )
    )
    assert (made.name, made.metadata, made.max_participants) == (room_name, "m", 7)
    assert (made.empty_timeout, made.departure_timeout) == (60, 9)
    assert made.sid.startswith("RM_")
    listed = await admin.room.list_rooms(api.ListRoomsRequest(names=[room_name]))
    assert [one.sid for one in listed.rooms] == [made.sid]
    assert room_name in {
        one.name for one in (await admin.room.list_rooms(api.ListRoomsRequest())).rooms
    }
    alice = await join("alice")
    assert alice.room.metadata == "m"
    await admin.room.delete_room(api.DeleteRoomRequest(room=room_name))
    (reason,) = await alice.wait_for("disconnected")
    assert reason == rtc.DisconnectReason.ROOM_DELETED
    listed = await admin.room.list_rooms(api.ListRoomsRequest(names=[room_name]))
    assert not listed.rooms


async def test_a_room_that_is_there_stays_as_it_is(
    join: Join, admin: api.LiveKitAPI, room_name: str
) -> None:
    alice = await join("alice")
    made = await admin.room.create_room(
        api.CreateRoomRequest(
            name=room_name, metadata="m", max_participants=1, empty_timeout=7, departure_timeout=9
        )
    )
    assert (made.sid, made.metadata, made.max_participants) == (await alice.room.sid, "", 0)
    assert made.empty_timeout != 7
    assert made.departure_timeout != 9
    listed = await admin.room.list_rooms(api.ListRoomsRequest(names=[room_name]))
    assert [one.metadata for one in listed.rooms] == [""]
    bob = await join("bob")
    assert bob.room.metadata == ""


async def test_room_metadata_reaches_everybody(
    join: Join, admin: api.LiveKitAPI, room_name: str
) -> None:
    clients = [await join("alice"), await join("bob")]
    answer = await admin.room.update_room_metadata(
        api.UpdateRoomMetadataRequest(room=room_name, metadata="new")
    )
    assert answer.metadata == "new"
    for client in clients:
        await client.wait_for("room_metadata_changed", lambda _old, new: new == "new")


async def test_participants_are_listed(
    join: Join, admin: api.LiveKitAPI, microphone: MakeMicrophone, room_name: str
) -> None:
    alice, _ = await join("alice"), await join("bob")
    publication = await microphone(alice).publish()
    await alice.wait_for("local_track_subscribed")
    listed = await admin.room.list_participants(api.ListParticipantsRequest(room=room_name))
    assert {one.identity for one in listed.participants} == {"alice", "bob"}
    info = await admin.room.get_participant(
        api.RoomParticipantIdentity(room=room_name, identity="alice")
    )
    assert info.sid == alice.me.sid
    assert info.state == api.ParticipantInfo.State.ACTIVE
    assert info.is_publisher
    assert [track.sid for track in info.tracks] == [publication.sid]
    assert info.tracks[0].mime_type.lower() in ("audio/opus", "audio/red")
    nobody = await admin.room.list_participants(api.ListParticipantsRequest(room="no such room"))
    assert not nobody.participants


async def test_a_removed_participant_is_told_and_may_come_back(
    join: Join, admin: api.LiveKitAPI, microphone: MakeMicrophone, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    await microphone(alice).publish()
    await bob.subscribed("alice")
    await admin.room.remove_participant(
        api.RoomParticipantIdentity(room=room_name, identity="alice")
    )
    (reason,) = await alice.wait_for("disconnected")
    assert reason == rtc.DisconnectReason.PARTICIPANT_REMOVED
    for event in ("track_unsubscribed", "track_unpublished", "participant_disconnected"):
        await bob.wait_for(event)
    since = len(bob.events)
    await join("alice")
    await bob.wait_for("participant_connected", since=since)


async def test_a_participant_is_renamed_described_and_labelled(
    join: Join, admin: api.LiveKitAPI, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    await bob.sees("alice")
    await admin.room.update_participant(
        api.UpdateParticipantRequest(
            room=room_name,
            identity="alice",
            name="Alice",
            metadata="m",
            attributes={"seat": "1", "hand": "up"},
        )
    )
    info = await admin.room.update_participant(
        api.UpdateParticipantRequest(room=room_name, identity="alice", attributes={"hand": ""})
    )
    assert (info.name, info.metadata, dict(info.attributes)) == ("Alice", "m", {"seat": "1"})
    for client in (alice, bob):
        for event in ("participant_name_changed", "participant_metadata_changed"):
            await client.wait_for(event, lambda who, *_: who.identity == "alice")
        await client.wait_for(
            "participant_attributes_changed", lambda changed, _who: changed == {"hand": ""}
        )


async def test_own_metadata_needs_permission(join: Join) -> None:
    alice = await join("alice", can_update_own_metadata=True)
    bob = await join("bob")
    await bob.me.set_metadata("refused")
    await alice.me.set_metadata("mine")
    await alice.me.set_name("Alice")
    await alice.me.set_attributes({"k": "v"})
    for event in ("metadata", "name", "attributes"):
        await bob.wait_for(f"participant_{event}_changed")
    seen = await bob.sees("alice")
    assert (seen.name, seen.metadata, dict(seen.attributes)) == ("Alice", "mine", {"k": "v"})
    assert bob.me.metadata != "refused"


async def test_a_track_is_muted_and_unmuted_remotely(
    join: Join, admin: api.LiveKitAPI, microphone: MakeMicrophone, room_name: str
) -> None:
    alice, bob = await join("alice"), await join("bob")
    publication = await microphone(alice).publish()
    track = await bob.subscribed("alice")
    await heard(track)
    request = api.MuteRoomTrackRequest(
        room=room_name, identity="alice", track_sid=publication.sid, muted=True
    )
    answer = await admin.room.mute_published_track(request)
    assert answer.track.muted
    await alice.wait_for("track_muted")
    await bob.wait_for("track_muted")
    await heard(track, audible=False)
    request.muted = False
    await admin.room.mute_published_track(request)
    await bob.wait_for("track_unmuted")
    await heard(track)


@pytest.mark.parametrize(
    ("call", "code", "status"),
    [
        ("get", "not_found", 404),
        ("remove", "not_found", 404),
        ("update", "not_found", 404),
        ("delete", "not_found", 404),
        ("room_metadata", "not_found", 404),
        ("long_name", "invalid_argument", 400),
        ("long_metadata", "invalid_argument", 400),
        ("long_attributes", "invalid_argument", 400),
    ],
)
async def test_calls_that_cannot_be_done_are_refused(
    admin: api.LiveKitAPI, call: str, code: str, status: int
) -> None:
    rooms, who = admin.room, api.RoomParticipantIdentity(room="none", identity="nobody")
    update = api.UpdateParticipantRequest(room="none", identity="nobody")
    calls: dict[str, Callable[[], Any]] = {
        "get": lambda: rooms.get_participant(who),
        "remove": lambda: rooms.remove_participant(who),
        "update": lambda: rooms.update_participant(update),
        "delete": lambda: rooms.delete_room(api.DeleteRoomRequest(room="none")),
        "room_metadata": lambda: rooms.update_room_metadata(
            api.UpdateRoomMetadataRequest(room="none", metadata="m")
        ),
        "long_name": lambda: rooms.update_participant(_with(update, name="é" * 129)),
        "long_metadata": lambda: rooms.update_participant(
            _with(update, metadata="m" * (512 * 1024 + 1))
        ),
        "long_attributes": lambda: rooms.update_participant(
            _with(update, attributes={"k": "v" * 65536})
        ),
    }
    with pytest.raises(api.TwirpError) as caught:
        await calls[call]()
    assert (caught.value.code, caught.value.status) == (code, status)


def _with(request: api.UpdateParticipantRequest, **fields: Any) -> api.UpdateParticipantRequest:
    request.MergeFrom(api.UpdateParticipantRequest(**fields))
    return request


def _bearer(sfu: RunningSfu, secret: str | None = None, **video: Any) -> dict[str, str]:
    payload = {"iss": sfu.api_key, "exp": int(time.time()) + 60, "video": video}
    return {"Authorization": f"Bearer {jwt.encode(payload, secret or sfu.api_secret, 'HS256')}"}


@pytest.mark.parametrize(
    ("method", "grants"),
    [
        ("CreateRoom", {"roomList": True}),
        ("DeleteRoom", {"roomAdmin": True, "room": "r"}),
        ("ListRooms", {"roomCreate": True}),
        ("ListParticipants", {"roomAdmin": True, "room": "other"}),
        ("GetParticipant", {"room": "r"}),
        ("RemoveParticipant", {"roomJoin": True, "room": "r"}),
        ("SendData", {}),
        ("UpdateParticipant", {"roomAdmin": True}),
    ],
)
async def test_a_call_without_its_grant_is_unauthenticated(
    sfu: RunningSfu, method: str, grants: dict[str, Any]
) -> None:
    body = api.RoomParticipantIdentity(room="r").SerializeToString()  # `room` is their first field
    if method in ("CreateRoom", "ListRooms"):
        body = b""
    calls = [_bearer(sfu, **grants), _bearer(sfu, secret="w" * 40, roomAdmin=True), {}]
    replies = [await _post(sfu, method, body, headers) for headers in calls]
    assert [status for status, _ in replies] == [401, 401, 401]
    assert replies[0][1] == "unauthenticated"


async def _post(
    sfu: RunningSfu,
    method: str,
    body: bytes,
    headers: dict[str, str],
    content_type: str = "application/protobuf",
) -> tuple[int, str | None]:
    """Status and Twirp code of one call."""
    url = f"{sfu.api_url}/twirp/livekit.RoomService/{method}"
    headers = {**headers, "Content-Type": content_type}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=headers) as response,
    ):
        is_json = response.content_type == "application/json"
        return response.status, (await response.json())["code"] if is_json else None


async def test_unknown_methods_and_bad_bodies_are_refused(sfu: RunningSfu) -> None:
    headers = _bearer(sfu, roomCreate=True, roomList=True)
    assert await _post(sfu, "NoSuchMethod", b"", headers) == (404, "bad_route")
    assert await _post(sfu, "ListRooms", b"\xff\xff", headers) == (400, "malformed")
    assert await _post(sfu, "ListRooms", b"", headers, "text/plain") == (404, "bad_route")
    url = f"{sfu.api_url}/twirp/livekit.RoomService/ListRooms"
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers) as response,
    ):
        assert (response.status, (await response.json())["code"]) == (404, "bad_route")


@pytest.mark.parametrize("sfu_kind", ["embedded"])
async def test_a_call_with_lists_without_end_is_refused(sfu: RunningSfu) -> None:
    headers = _bearer(sfu, roomList=True)
    names = ["room"] * MAX_ENTRIES
    for names_, answer in ((names[1:], (200, None)), (names, (400, "invalid_argument"))):
        body = api.ListRoomsRequest(names=names_).SerializeToString()
        assert await _post(sfu, "ListRooms", body, headers) == answer


@pytest.mark.parametrize("sfu_kind", ["embedded"])
async def test_a_service_that_is_not_here_is_said_to_be_elsewhere(sfu: RunningSfu) -> None:
    url = f"{sfu.api_url}/twirp/livekit.Egress/ListEgress"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, headers=_bearer(sfu, roomCreate=True)) as response,
    ):
        assert "livekit-server has all" in (await response.json())["msg"]
