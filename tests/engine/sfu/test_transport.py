"""DTLS, SCTP and the data channels against hostile peers, without the SDK."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from aiortc import RTCCertificate, RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import InitChunk, SackChunk, serialize_packet
from google_crc32c import value as crc32c
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utd_rx.engine.sfu.data_channels import LOSSY, RELIABLE, DataChannels
from utd_rx.engine.sfu.dtls import DtlsAssociation, DtlsError, fingerprint

CERTIFICATE = RTCCertificate.generateCertificate()


def test_a_certificate_names_itself_as_sdp_does() -> None:
    parts = fingerprint(CERTIFICATE).split(":")
    assert len(parts) == 32
    assert all(len(part) == 2 for part in parts)
    assert "PRIVATE" not in repr(CERTIFICATE)


def test_a_client_hello_goes_out_and_is_repeated_in_time() -> None:
    sent: list[bytes] = []
    client = DtlsAssociation(CERTIFICATE, sent.append)
    client.shake_hands()
    assert sent
    assert all(len(one) <= 1500 for one in sent)
    client.tick()
    assert len(sent) == 1  # not due yet
    client.write(b"too early")
    assert len(sent) == 1


@given(st.binary(max_size=100) | st.binary(max_size=60).map(lambda b: b"\x16\xfe\xfd" + b))
def test_any_bytes_are_ignored_or_end_the_handshake(data: bytes) -> None:
    client = DtlsAssociation(CERTIFICATE, lambda _: None)
    client.shake_hands()
    try:
        assert client.receive(data) == []
    except DtlsError:
        assert not client.is_connected
    client.close()


class Client(DataChannels):
    """The side that opens channels; what a real client's SCTP does."""

    def open(self, label: str, *, is_used: bool = True) -> None:
        """Open a channel of that label."""
        channel = RTCDataChannel(self._sctp, RTCDataChannelParameters(label=label))
        if is_used:
            self._on_channel(channel)


class Server(DataChannels):
    """The side under test."""

    def be_sent(self, chunk: Any, ahead: int = 1) -> None:
        """Receive a chunk of the client's; its numbers count from the last one that came."""
        for number in ("tsn", "cumulative_tsn"):
            if hasattr(chunk, number):
                setattr(chunk, number, ahead)
        for _ in self.being_sent(chunk):
            pass

    def being_sent(self, *chunks: Any, acknowledged: int = 0) -> Iterator[None]:
        """Receive a packet of the client's, in parts; the numbers in it count from the last one
        that came, and from what was `acknowledged`."""
        received = self._sctp._last_received_tsn or 0
        for chunk in chunks:
            if hasattr(chunk, "tsn"):
                chunk.tsn = (received + chunk.tsn) & 0xFFFFFFFF
            elif hasattr(chunk, "cumulative_tsn"):
                last = acknowledged if chunk.type == SackChunk.type else received
                chunk.cumulative_tsn = (last + chunk.cumulative_tsn) & 0xFFFFFFFF
        tag = self._sctp._local_verification_tag
        packet = struct.pack("!HHLL", 5000, 5000, tag, 0) + b"".join(map(bytes, chunks))
        return self.take(packet[:8] + crc32c(packet).to_bytes(4, "little") + packet[12:])

    def be_begun(self, first: int) -> None:
        """Receive the first word of an association, whose numbers begin there."""
        begin = InitChunk()
        begin.initial_tsn, begin.inbound_streams, begin.outbound_streams = first, 1024, 1024
        self.receive(serialize_packet(5000, 5000, 0, begin))

    def has(self, label: str) -> bool:
        return label in self._channels

    def be_overrun(self) -> None:
        """Have taken more than the window that was advertised."""
        self._sctp._advertised_rwnd = -1


class Pair:
    """Two associations wired to each other; the second one plays the client."""

    def __init__(self) -> None:
        self.server_got: list[tuple[str, bytes]] = []
        self.client_got: list[tuple[str, bytes]] = []
        self.is_cut = False
        self.sent = 0
        self.acknowledged = 0
        """Number up to which the client has everything."""
        self._loop = asyncio.get_running_loop()
        self.server = Server(
            lambda data: self._carry(data, lambda: self.client),
            lambda label, message: self.server_got.append((label, message)),
        )
        self.client = Client(
            self._from_client,
            lambda label, message: self.client_got.append((label, message)),
        )

    def _from_client(self, packet: bytes) -> None:
        if packet[12] == SackChunk.type:
            self.acknowledged = int.from_bytes(packet[16:20], "big")
        self._carry(packet, lambda: self.server)

    def _carry(self, data: bytes, to: Any) -> None:
        self.sent += 1
        if not self.is_cut:
            self._loop.call_soon(lambda: to().receive(data))

    async def opened(self) -> None:
        """Open the reliable channel, and wait until the server has it."""
        self.server.send(RELIABLE, b"open?")
        self.client.open(RELIABLE)
        await self.until(lambda: self.client_got == [(RELIABLE, b"open?")])

    async def until(self, condition: Any) -> None:
        for _ in range(10_000):  # turns of the loop; nothing here waits for a clock
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never happened")

    def close(self) -> None:
        self.client.close()
        self.server.close()


@pytest.fixture
async def pair() -> Any:
    made = Pair()
    made.server.start()
    made.client.start()
    yield made
    made.close()
    made.close()
    await asyncio.sleep(0)


async def test_messages_before_the_channel_opens_are_kept_in_order(pair: Pair) -> None:
    for n in range(3):
        pair.server.send(RELIABLE, bytes([n]))
    pair.server.send(LOSSY, b"dropped")
    pair.client.open(RELIABLE)
    pair.client.open(LOSSY)
    await pair.until(lambda: len(pair.client_got) == 3)
    assert pair.client_got == [(RELIABLE, bytes([n])) for n in range(3)]
    pair.client.send(RELIABLE, b"back")
    await pair.until(lambda: pair.server_got == [(RELIABLE, b"back")])
    assert pair.server.dropped == 1


async def test_the_backlog_is_bounded(pair: Pair) -> None:
    for _ in range(9000):
        pair.server.send(RELIABLE, b"x")
    assert pair.server.dropped == 9000 - 8192


async def test_the_backlog_is_bounded_in_bytes_too(pair: Pair) -> None:
    for _ in range(200):
        pair.server.send(RELIABLE, bytes(60_000))
    assert 200 - pair.server.dropped == 8 * 1024 * 1024 // 60_000


async def test_a_receiver_that_does_not_read_costs_a_bounded_amount(pair: Pair) -> None:
    await pair.opened()
    pair.is_cut = True
    for _ in range(300):
        pair.server.send(RELIABLE, bytes(60_000))
    assert pair.server.dropped > 100
    pair.server.send(RELIABLE, bytes(65_536))


async def test_a_message_larger_than_was_agreed_on_is_dropped(pair: Pair) -> None:
    await pair.opened()
    pair.server.send(RELIABLE, bytes(65_536))
    pair.server.send(RELIABLE, bytes(65_535))
    await pair.until(lambda: len(pair.client_got) == 2)
    assert (pair.server.dropped, len(pair.client_got[-1][1])) == (1, 65_535)


async def test_what_waits_goes_out_in_order_when_there_is_room(pair: Pair) -> None:
    await pair.opened()
    pair.client_got.clear()
    sent = [str(n).encode() for n in range(3_000)]
    for one in sent:
        pair.server.send(RELIABLE, one)
    await pair.until(lambda: len(pair.client_got) == len(sent))
    assert [message for _, message in pair.client_got] == sent


async def test_to_who_does_not_acknowledge_little_is_on_its_way(pair: Pair) -> None:
    """aiortc walks all of it for each chunk that it sends."""
    await pair.opened()
    pair.client.open(LOSSY)
    await pair.until(lambda: pair.server.has(LOSSY))
    pair.is_cut = True
    for _ in range(4_000):
        pair.server.send(RELIABLE, b"x")
        pair.server.send(LOSSY, b"x")
    assert pair.server.on_their_way == 128


async def test_a_client_that_opens_many_channels_is_cut_off(pair: Pair) -> None:
    for n in range(20):
        pair.client.open(f"channel {n}", is_used=False)
    await pair.until(lambda: pair.server.is_closed)


async def test_a_client_that_never_completes_a_message_is_cut_off(pair: Pair) -> None:
    await pair.opened()
    pair.server.be_overrun()
    pair.client.send(RELIABLE, b"x")
    await pair.until(lambda: pair.server.is_closed)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100))
async def test_any_packet_is_survived(data: bytes) -> None:
    heard: list[object] = []
    channels = DataChannels(lambda _: None, lambda *message: heard.append(message))
    channels.start()
    channels.receive(data)
    channels.receive(_with_checksum(data))
    channels.close()
    channels.receive(data)
    await asyncio.sleep(0)
    assert heard == []


def _with_checksum(data: bytes) -> bytes:
    head = b"\x13\x88\x13\x88" + secrets.token_bytes(4)
    checksum: int = crc32c(head + bytes(4) + data)
    return head + checksum.to_bytes(4, "little") + data
