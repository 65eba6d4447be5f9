"""Data messages: who gets them, in which order, and from whom they say they are."""

from __future__ import annotations

import functools

import pytest
from livekit import api, rtc

from tests.engine.sfu.clients import Client
from tests.engine.sfu.conftest import Join


def payloads(client: Client) -> list[bytes]:
    return [args[0].data for name, args in client.events if name == "data_received"]


async def test_reliable_messages_arrive_in_order_and_name_their_sender(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")
    await bob.sees("alice")
    sent = [f"message {n}".encode() for n in range(300)]
    for one in sent:
        await alice.me.publish_data(one, topic="t")
    await bob.until(lambda: len(payloads(bob)) == len(sent))
    assert payloads(bob) == sent
    (packet,) = await bob.wait_for("data_received")
    assert packet.participant is not None
    assert packet.participant.identity == "alice"
    assert (packet.topic, packet.kind) == ("t", rtc.DataPacketKind.KIND_RELIABLE)
    assert payloads(alice) == []


async def test_the_first_message_right_after_connect_arrives(join: Join) -> None:
    alice = await join("alice")
    for n in range(4):
        bob = await join(f"bob-{n}")
        hello, welcome = f"hello {n}".encode(), f"welcome {n}".encode()
        await bob.me.publish_data(hello)
        await alice.me.publish_data(welcome)
        await alice.wait_for("data_received", functools.partial(_carries, hello))
        await bob.wait_for("data_received", functools.partial(_carries, welcome))
        assert (payloads(alice).count(hello), payloads(bob).count(welcome)) == (1, 1)


def _carries(payload: bytes, packet: rtc.DataPacket) -> bool:
    return packet.data == payload


async def test_only_the_destinations_get_a_message(join: Join) -> None:
    alice, bob, carol = await join("alice"), await join("bob"), await join("carol")
    await alice.me.publish_data(b"for carol", destination_identities=["carol"])
    await alice.me.publish_data(b"for all")
    await bob.until(lambda: b"for all" in payloads(bob))
    await carol.until(lambda: b"for all" in payloads(carol))
    assert payloads(bob) == [b"for all"]
    assert payloads(carol) == [b"for carol", b"for all"]


@pytest.mark.parametrize("size", [0, 1, 15_000, 60_000])
async def test_messages_of_any_size_arrive_whole(join: Join, size: int) -> None:
    alice, bob = await join("alice"), await join("bob")
    sent = [bytes([n]) * size for n in range(5)]
    for one in sent:
        await alice.me.publish_data(one)
    await bob.until(lambda: len(payloads(bob)) == 5)
    assert payloads(bob) == sent


async def test_lossy_messages_arrive(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await bob.me.publish_data(b"reliable: both channels of bob are open")
    await alice.until(lambda: bool(payloads(alice)))
    for n in range(50):
        await alice.me.publish_data(bytes([n]), reliable=False)
    await bob.wait_for("data_received", lambda packet: packet.kind == rtc.DataPacketKind.KIND_LOSSY)
    assert set(payloads(bob)) <= {bytes([n]) for n in range(50)}


async def test_a_client_that_may_not_send_is_ignored(join: Join) -> None:
    alice, bob = await join("alice", can_publish_data=False), await join("bob")
    carol = await join("carol")
    await alice.me.publish_data(b"refused")
    await carol.me.publish_data(b"taken")
    await bob.until(lambda: bool(payloads(bob)))
    await alice.until(lambda: bool(payloads(alice)))
    assert payloads(bob) == [b"taken"]


async def test_the_api_sends_as_nobody(join: Join, admin: api.LiveKitAPI, room_name: str) -> None:
    alice, bob = await join("alice"), await join("bob")
    # The real server keeps messages of clients for a channel that opens late, but not the API's.
    await alice.me.publish_data(b"open?")
    await bob.me.publish_data(b"open?")
    await alice.until(lambda: bool(payloads(alice)))
    await bob.until(lambda: bool(payloads(bob)))
    since = len(bob.events)
    await admin.room.send_data(
        api.SendDataRequest(
            room=room_name,
            data=b"only bob",
            kind=api.DataPacket.Kind.RELIABLE,
            destination_identities=["bob"],
            topic="news",
        )
    )
    await admin.room.send_data(api.SendDataRequest(room=room_name, data=b"all"))
    await alice.until(lambda: len(payloads(alice)) == 2)
    await bob.until(lambda: len(payloads(bob)) == 3)
    assert payloads(alice) == [b"open?", b"all"]
    assert payloads(bob) == [b"open?", b"only bob", b"all"]
    (packet,) = await bob.wait_for("data_received", since=since)
    assert packet.participant is None
    assert packet.topic == "news"


async def test_rpc_and_streams_work(join: Join) -> None:
    alice, bob = await join("alice"), await join("bob")
    await alice.sees("bob")

    async def shout(call: rtc.RpcInvocationData) -> str:
        return f"{call.caller_identity}: {call.payload.upper()}"

    bob.me.register_rpc_method("shout", shout)
    answer = await alice.me.perform_rpc(destination_identity="bob", method="shout", payload="hello")
    assert answer == "alice: HELLO"
    await alice.me.send_text("x" * 40_000, topic="unheard")
