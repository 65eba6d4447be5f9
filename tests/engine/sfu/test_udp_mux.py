"""The socket and its ICE-lite half: who is answered, who is believed, what is dropped."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import aioice.stun
import pytest
from aiortc import RTCCertificate
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.engine.sfu.limits import share
from utd_rx.engine.sfu.transport import Transport
from utd_rx.engine.sfu.udp_mux import Address, UdpMux, local_addresses

PASSWORD = "p" * 32
AT = ("127.0.0.1", 9, "127.0.0.1")


def check(ufrag: str = "ufrag", password: str = PASSWORD, *, nominate: bool = False) -> bytes:
    message = aioice.stun.Message(
        message_method=aioice.stun.Method.BINDING, message_class=aioice.stun.Class.REQUEST
    )
    message.attributes["USERNAME"] = f"{ufrag}:theirs"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 1
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(password.encode())
    return bytes(message)


class Endpoint:
    def __init__(self) -> None:
        self.checks: list[tuple[Address, bool]] = []
        self.answers: list[tuple[bytes, Address]] = []
        self.datagrams: list[bytes] = []
        self.is_broken = self.is_here = False
        self.cost = 0.0
        self.news = asyncio.Event()

    def holds(self, address: Address, now: float) -> bool:
        return self.is_here

    def takes_check(self, now: float) -> bool:
        return True

    def charge(self, cost: float, now: float) -> None:
        self.cost += cost

    def on_check(self, ufrag: str, address: Address, is_nominating: bool, now: float) -> None:
        self.checks.append((address, is_nominating))

    def on_reached(self, answer: aioice.stun.Message, address: Address) -> None:
        self.answers.append((answer.transaction_id, address))

    def on_datagram(self, data: bytes, now: float) -> None:
        self.datagrams.append(data)
        self.news.set()
        if self.is_broken:
            raise RuntimeError("a bug of ours")


@pytest.fixture
async def mux() -> AsyncIterator[UdpMux]:
    made = UdpMux()
    made.open("127.0.0.1", 0)
    yield made
    made.close()
    made.close()


class Peer:
    """A UDP socket of a client."""

    def __init__(self, mux: UdpMux, host: str = "127.0.0.1", sender: str = "") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((sender or host, 0))
        self.socket.connect((host, mux.port))

    async def ask(self, data: bytes) -> bytes:
        self.socket.send(data)
        async with asyncio.timeout(10):
            return await asyncio.get_running_loop().sock_recv(self.socket, 2048)


@pytest.fixture
async def peer(mux: UdpMux) -> AsyncIterator[Peer]:
    made = Peer(mux)
    yield made
    made.socket.close()


@pytest.mark.parametrize("is_here", [True, False])
async def test_who_is_at_an_address_keeps_it_against_an_authentic_check_of_another(
    mux: UdpMux, is_here: bool
) -> None:
    victim, mallory = Endpoint(), Endpoint()
    mux.register("victim", PASSWORD, victim)
    mux.register("mallory", PASSWORD, mallory)
    mux.receive(check("victim"), AT, 0.0)
    victim.is_here = is_here
    mux.receive(check("mallory"), AT, 1.0)
    mux.receive(b"\x80sound", AT, 1.0)
    assert (len(victim.datagrams), len(mallory.datagrams)) == (is_here, not is_here)
    assert len(mallory.checks) == (not is_here)
    assert mallory.cost > 0.0  # either way


class Listener:
    """Nobody, at the end of a transport."""

    def on_connected(self) -> None: ...
    def on_failed(self, reason: str) -> None: ...
    def on_rtp(self, packet: bytes, now: float) -> None: ...
    def on_rtcp(self, packet: bytes, now: float) -> None: ...
    def on_data(self, label: str, message: bytes) -> Iterator[None]:
        return iter(())


async def test_checks_are_of_ones_share_and_few_are_answered_without_it(mux: UdpMux) -> None:
    mine = share()
    transport = Transport(mux, RTCCertificate.generateCertificate(), ("h",), Listener(), mine)
    transport.restart()
    local = transport.local()
    one, forged = (check(local.ice_ufrag, key) for key in (local.ice_password, "another"))
    for _ in range(1000):
        mux.receive(forged, AT, 1.0)
    assert mux.dropped == 1000
    for _ in range(10_000):
        mux.receive(one, AT, 1.0)
        if mux.dropped > 1000:
            break
    assert mine.wait(1.0) > 0.0  # used up, by checks alone
    mine.spend(1000.0, 1.0)
    for now in (1000.0, 1001.0):
        mux.dropped = 0
        for _ in range(150):
            mux.receive(one, AT, now)
        assert 45 <= mux.dropped <= 50  # an honest client needs a fifth of the others
    transport.close()


async def test_of_a_datagram_two_kibibytes_are_read(mux: UdpMux, peer: Peer) -> None:
    endpoint = Endpoint()
    mux.register("ufrag", PASSWORD, endpoint)
    await peer.ask(check())
    peer.socket.send(b"\x80" + bytes(4_000))
    async with asyncio.timeout(10):
        await endpoint.news.wait()
    assert [len(one) for one in endpoint.datagrams] == [2_048]


async def test_an_answer_goes_to_who_is_at_its_address_and_to_nobody_else(mux: UdpMux) -> None:
    endpoint = Endpoint()
    mux.register("ufrag", PASSWORD, endpoint)
    answer = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.RESPONSE)
    mux.receive(bytes(answer), AT, 0.0)
    assert endpoint.answers == []
    mux.receive(check(), AT, 0.0)
    mux.receive(bytes(answer), AT, 0.0)
    assert endpoint.answers == [(answer.transaction_id, AT)]


async def test_a_check_is_answered_with_the_senders_address(mux: UdpMux, peer: Peer) -> None:
    endpoint = Endpoint()
    mux.register("ufrag", PASSWORD, endpoint)
    request = check(nominate=True)
    answer = aioice.stun.parse_message(await peer.ask(request))
    assert answer.check_message_integrity(PASSWORD.encode())
    assert answer.message_class == aioice.stun.Class.RESPONSE
    assert answer.transaction_id == request[8:20]
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == peer.socket.getsockname()
    assert "FINGERPRINT" in answer.attributes
    assert endpoint.checks == [((*peer.socket.getsockname(), "127.0.0.1"), True)]


async def test_only_an_address_that_was_checked_is_heard(mux: UdpMux, peer: Peer) -> None:
    endpoint = Endpoint()
    mux.register("ufrag", PASSWORD, endpoint)
    peer.socket.send(b"\x80 too early")
    await peer.ask(check())
    peer.socket.send(b"\x80 in time")
    await endpoint.news.wait()
    assert endpoint.datagrams == [b"\x80 in time"]
    assert mux.dropped == 1


@pytest.mark.parametrize(
    "data",
    [
        check("stranger"),
        check(password="wrong"),
        check()[:-1],
        b"",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
        bytes(1500),
    ],
    ids=["a stranger's", "a wrong password", "cut", "nothing", "without attributes", "zeroes"],
)
async def test_an_unauthentic_check_is_not_answered(mux: UdpMux, peer: Peer, data: bytes) -> None:
    endpoint = Endpoint()
    mux.register("ufrag", PASSWORD, endpoint)
    peer.socket.send(data)
    await peer.ask(check())  # datagrams on loopback keep their order
    assert len(endpoint.checks) == 1
    assert mux.dropped == 1


async def test_a_removed_endpoint_hears_nothing(mux: UdpMux, peer: Peer) -> None:
    gone, other = Endpoint(), Endpoint()
    mux.register("ufrag", PASSWORD, gone)
    await peer.ask(check())
    mux.remove(gone)
    peer.socket.send(b"\x80 too late")
    peer.socket.send(check())
    mux.register("ufrag", PASSWORD, other)
    await peer.ask(check())
    assert gone.datagrams == []
    assert len(gone.checks) == 1


async def test_a_client_cannot_fill_the_address_table(mux: UdpMux) -> None:
    endpoint = Endpoint()
    mux.register("ufrag", PASSWORD, endpoint)
    peers = [Peer(mux) for _ in range(40)]
    for one in peers:
        await one.ask(check())
    for number, one in enumerate(peers):
        one.socket.send(bytes([0x80, number]))
    await peers[-1].ask(check())  # datagrams on loopback keep their order
    assert [data[1] for data in endpoint.datagrams] == list(range(24, 40))
    for one in peers:
        one.socket.close()


async def test_a_failing_endpoint_does_not_stop_the_socket(mux: UdpMux, peer: Peer) -> None:
    endpoint = Endpoint()
    endpoint.is_broken = True
    mux.register("ufrag", PASSWORD, endpoint)
    await peer.ask(check())
    peer.socket.send(b"\x80 one")
    await endpoint.news.wait()
    await peer.ask(check())
    assert mux.dropped == 1


async def test_a_taken_port_is_an_error_and_leaves_nothing(mux: UdpMux) -> None:
    other = UdpMux()
    with pytest.raises(OSError):
        other.open("127.0.0.1", mux.port)
    assert other.port == 0


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda b: check()[:20] + b))
async def test_any_bytes_are_survived(data: bytes) -> None:
    mux, endpoint = UdpMux(), Endpoint()
    mux.register("ufrag", PASSWORD, endpoint)
    mux.receive(data, AT, 0.0)
    assert endpoint.checks == []


@given(st.data())
async def test_a_changed_check_is_never_believed(data: st.DataObject) -> None:
    original = bytearray(check())
    fingerprint = 8  # comes after what is signed, and is only a checksum
    at = data.draw(st.integers(0, len(original) - 1 - fingerprint))
    original[at] ^= data.draw(st.integers(1, 255))
    mux, endpoint = UdpMux(), Endpoint()
    mux.register("ufrag", PASSWORD, endpoint)
    mux.receive(bytes(original), AT, 0.0)
    assert endpoint.checks == []
    assert mux.dropped == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_every_address_of_the_machine_is_heard_and_answers_for_itself(host: str) -> None:
    """Firefox has no address of loopback; and an answer from another address is dropped."""
    mux = UdpMux()
    mux.open(host, 0)
    endpoint = Endpoint()
    mux.register("ufrag", PASSWORD, endpoint)
    try:
        hosts = mux.hosts("127.0.0.1")
        assert hosts[0] == "127.0.0.1"
        assert set(hosts) == {"127.0.0.1", *local_addresses()}
        assert mux.hosts(hosts[-1])[0] == hosts[-1]
        for one in hosts:
            peer = Peer(mux, one)
            await peer.ask(check())
            assert endpoint.checks.pop() == ((*peer.socket.getsockname(), one), False)
            peer.socket.close()
    finally:
        mux.close()


async def test_on_loopback_nobody_from_elsewhere_is_heard() -> None:
    mux = UdpMux()
    mux.open("127.0.0.1", 0)
    endpoint = Endpoint()
    mux.register("ufrag", PASSWORD, endpoint)
    heard = 0
    try:
        for one in local_addresses():
            stranger = Peer(mux, one, sender="127.0.0.2")
            stranger.socket.send(check())
            stranger.socket.close()
            native = Peer(mux, one)
            await native.ask(check())  # datagrams on loopback keep their order
            native.socket.close()
            heard += 1
        assert (len(endpoint.checks), mux.dropped) == (heard, heard)
    finally:
        mux.close()


async def test_an_address_that_came_later_is_bound_when_somebody_reached_it() -> None:
    mux = UdpMux()
    mux.open("0.0.0.0", 0)
    try:
        assert mux.hosts("127.0.0.7")[0] == "127.0.0.7"
        assert mux.hosts("203.0.113.7")[0] == "127.0.0.1"  # none of ours
    finally:
        mux.close()
