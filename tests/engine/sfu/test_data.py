"""Data messages: who gets them, in which order, and from whom they say they are."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from livekit import api, rtc
from livekit.protocol import models

from tests.engine.sfu.clients import Client
from tests.engine.sfu.conftest import Join
from tests.engine.sfu.rooms import done
from utd_rx.engine.sfu.data_messages import deliver_from_client
from utd_rx.engine.sfu.limits import SENT_AT_ONCE


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


class Ear:
    """One who receives, and what is sent to it."""

    def __init__(self, identity: str, *, is_agent: bool = False) -> None:
        self.identity, self.sid, self.is_agent = identity, f"PA_{identity}", is_agent
        self.permission = models.ParticipantPermission(can_publish_data=True)
        self.is_active, self.last_sequence = True, 0
        self.packets: list[models.DataPacket] = []
        self.connections = self

    def send_data(self, label: str, message: bytes) -> None:
        self.packets.append(models.DataPacket.FromString(message))


def sent_by(sender: Ear, packet: models.DataPacket) -> list[models.DataPacket]:
    """What somebody else gets of a packet."""
    ear = Ear("bob")
    people: Any = [sender, ear]
    done(deliver_from_client(people, people[0], "_reliable", packet.SerializeToString()))
    return ear.packets


def test_a_message_goes_to_a_room_in_parts_and_to_who_left_meanwhile_no_more() -> None:
    people: Any = [Ear(str(n)) for n in range(3 * SENT_AT_ONCE + 2)]
    packet = models.DataPacket(user=models.UserPacket(payload=b"x"))
    parts = deliver_from_client(people, people[0], "_reliable", packet.SerializeToString())
    for count in (1, 2, 3):
        next(parts)
        assert sum(len(one.packets) for one in people) == count * SENT_AT_ONCE
    people[-1].is_active = False
    done(parts)
    assert [one.identity for one in people if not one.packets] == ["0", people[-1].identity]


def test_only_agents_transcribe_and_no_track_that_ends_who_hears_of_it() -> None:
    def transcribed(sender: Ear, track: str) -> int:
        words = models.Transcription(track_id=track)
        return len(sent_by(sender, models.DataPacket(transcription=words)))

    agent = Ear("agent", is_agent=True)
    assert transcribed(agent, "TR_x") == 1
    assert [transcribed(agent, track) for track in ("", "x", "PA_x")] == [0, 0, 0]
    assert transcribed(Ear("eve"), "TR_x") == 0


def test_only_agents_write_texts_as_somebody_else_and_nothing_but_texts() -> None:
    header = models.DataStream.Header
    text = header(text_header=models.DataStream.TextHeader())
    file = header(byte_header=models.DataStream.ByteHeader())
    user = models.UserPacket(participant_identity="bob", payload=b"x")
    agent, eve = Ear("agent", is_agent=True), Ear("eve")
    packet = models.DataPacket
    for sender, said, told in (
        (agent, packet(participant_identity="bob", stream_header=text), "bob"),
        (agent, packet(participant_identity="bob", stream_header=file), "agent"),
        (agent, packet(participant_identity="bob", user=user), "agent"),
        (agent, packet(stream_header=text), "agent"),
        (eve, packet(participant_identity="bob", stream_header=text), "eve"),
    ):
        [got] = sent_by(sender, said)
        assert got.participant_identity == told
        assert got.user.participant_identity == (told if said.HasField("user") else "")
