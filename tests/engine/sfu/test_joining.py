"""Coming, being seen, leaving and being sent away."""

from __future__ import annotations

import asyncio
import time

import jwt
import pytest
from livekit import api, rtc

from tests.engine.sfu.clients import Client, token
from tests.engine.sfu.conftest import Join
from tests.support.sfu import RunningSfu


async def test_two_clients_see_each_other(join: Join) -> None:
    alice = await join("alice")
    bob = await join("bob")
    assert (await bob.sees("alice")).sid == alice.me.sid
    assert (await alice.sees("bob")).sid == bob.me.sid
    await alice.wait_for("participant_active")


async def test_a_token_names_describes_and_labels(
    sfu: RunningSfu, join: Join, room_name: str
) -> None:
    alice = await join("alice")
    bob = Client("bob")
    access = (
        api.AccessToken(sfu.api_key, sfu.api_secret)
        .with_identity("bob")
        .with_name("Bob B.")
        .with_metadata("m")
        .with_attributes({"seat": "3"})
        .with_grants(api.VideoGrants(room_join=True, room=room_name))
    )
    await bob.room.connect(sfu.url, access.to_jwt())
    seen = await alice.sees("bob")
    assert (seen.name, seen.metadata, dict(seen.attributes)) == ("Bob B.", "m", {"seat": "3"})
    await bob.disconnect()


@pytest.mark.long
async def test_leaving_is_seen(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")
    await bob.disconnect()
    (gone,) = await alice.wait_for("participant_disconnected")
    assert gone.identity == "bob"
    assert gone.disconnect_reason == rtc.DisconnectReason.CLIENT_INITIATED


async def test_rooms_are_isolated(join: Join, microphone: object) -> None:
    alice = await join("alice", room="one")
    bob = await join("bob", room="two")
    carol = await join("carol", room="one")
    await alice.sees("carol")
    await bob.me.publish_data(b"for nobody")
    await carol.me.publish_data(b"for alice")
    (packet,) = await alice.wait_for("data_received")
    assert packet.data == b"for alice"
    assert not bob.room.remote_participants
    assert set(alice.room.remote_participants) == {"carol"}


async def test_a_hidden_participant_is_not_seen(join: Join) -> None:
    hidden = await join("hidden", hidden=True)
    alice = await join("alice")
    bob = await join("bob")
    await alice.sees("bob")
    assert set(await _identities(hidden, "alice", "bob")) == {"alice", "bob"}
    assert set(alice.room.remote_participants) == {"bob"}
    assert set(bob.room.remote_participants) == {"alice"}


async def _identities(client: Client, *wanted: str) -> list[str]:
    for identity in wanted:
        await client.sees(identity)
    return list(client.room.remote_participants)


@pytest.mark.parametrize("fault", ["signature", "expired", "issuer", "no join grant", "not yet"])
async def test_a_bad_token_is_refused(sfu: RunningSfu, room_name: str, fault: str) -> None:
    now = int(time.time())
    payload = {
        "iss": "somebody" if fault == "issuer" else sfu.api_key,
        "sub": "mallory",
        "nbf": now + 3600 if fault == "not yet" else now,
        "exp": now - 120 if fault == "expired" else now + 600,
        "video": {"room": room_name, "roomJoin": fault != "no join grant"},
    }
    secret = "x" * 40 if fault == "signature" else sfu.api_secret
    client = Client("mallory")
    with pytest.raises(rtc.ConnectError, match="401"):
        await client.room.connect(sfu.url, jwt.encode(payload, secret, algorithm="HS256"))


@pytest.mark.parametrize(("identity", "room"), [("é" * 129, "lobby"), ("bob", "é" * 129)])
async def test_a_name_of_more_than_256_bytes_is_refused(
    sfu: RunningSfu, identity: str, room: str
) -> None:
    client = Client(identity)
    with pytest.raises(rtc.ConnectError, match="400"):
        await client.room.connect(sfu.url, token(sfu, identity, room))


async def test_a_minute_of_clock_skew_is_forgiven(sfu: RunningSfu, room_name: str) -> None:
    now = int(time.time())
    payload = {
        "iss": sfu.api_key,
        "sub": "late",
        "nbf": now + 30,
        "exp": now + 30,
        "video": {"room": room_name, "roomJoin": True},
    }
    client = Client("late")
    await client.room.connect(sfu.url, jwt.encode(payload, sfu.api_secret, algorithm="HS256"))
    assert client.me.identity == "late"
    await client.disconnect()


async def test_the_same_identity_replaces_the_older_session(join: Join) -> None:
    watcher = await join("watcher")
    old = await join("alice")
    await watcher.sees("alice")
    old_sid = old.me.sid
    new = await join("alice")
    (reason,) = await old.wait_for("disconnected")
    assert reason == rtc.DisconnectReason.DUPLICATE_IDENTITY
    await watcher.until(
        lambda: (
            "alice" in watcher.room.remote_participants
            and watcher.room.remote_participants["alice"].sid == new.me.sid
        )
    )
    (gone,) = await watcher.wait_for("participant_disconnected")
    assert gone.sid == old_sid


async def test_a_full_room_refuses_and_a_freed_place_is_good_again(
    sfu: RunningSfu, join: Join, admin: api.LiveKitAPI, room_name: str
) -> None:
    await admin.room.create_room(api.CreateRoomRequest(name=room_name, max_participants=2))
    await join("alice")
    bob = await join("bob")
    with pytest.raises(rtc.ConnectError, match="500"):
        await Client("carol").room.connect(sfu.url, token(sfu, "carol", room_name))
    again = await join("bob")  # replaces itself, so the cap does not count
    await bob.wait_for("disconnected")
    await again.disconnect()
    await _gone(admin, room_name, "bob")
    await join("carol")


async def _gone(admin: api.LiveKitAPI, room: str, identity: str) -> None:
    async with asyncio.timeout(20):
        while True:
            request = api.ListParticipantsRequest(room=room)
            listed = await admin.room.list_participants(request)
            if identity not in {one.identity for one in listed.participants}:
                return
