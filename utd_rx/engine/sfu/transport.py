"""One client's transport: ICE-lite, DTLS, SRTP and SCTP on the shared socket.

An ICE restart changes credentials and address only (docs/livekit.md, "Resuming"). Where the offers
are ours, `channels` are the data channels that we open.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

import pylibsrtp
from aioice import stun
from aiortc import RTCCertificate

from utd_rx.engine.sfu.answers import LocalTransport
from utd_rx.engine.sfu.budget import Budget, Share
from utd_rx.engine.sfu.data_channels import DataChannels
from utd_rx.engine.sfu.dtls import DtlsAssociation, DtlsError, fingerprint
from utd_rx.engine.sfu.return_path import ReturnPath
from utd_rx.engine.sfu.sdp import SdpOffer
from utd_rx.engine.sfu.udp_mux import Address, UdpMux

# libwebrtc checks at least every 2.5 s; the real server takes ICE for failed after 10 + 5 s, and
# waits 5 s more for a resume.
_SILENCE_TIMEOUT: Final = 20.0
# Two of its checks: whoever was heard within that keeps the address.
_HOLD: Final = 5.0
# DTLS close_notify overtakes the `leave` message that says why; give that one time to arrive.
_GOODBYE_TIMEOUT: Final = 2.0
# libsrtp keeps a context per SSRC for ever; a client that needs more is broken or hostile.
_MAX_INBOUND_SSRCS: Final = 4096
# Packets of media a second, and at once: twice what the bandwidth for videos makes of them.
_MAX_PACKETS: Final = 4000
# Connectivity checks a second, and at once, that are answered whatever else the client used: one
# who looks at all its paths sends a fifth.
_MAX_CHECKS: Final = 100
# Datagrams with data that wait for the client's next turn or share; more than SCTP's window holds.
MAX_HELD: Final = 1024
# A ClientHello of the newest key exchanges is two datagrams.
_MAX_EARLY: Final = 4
_DONE: Final = object()


class TransportOwner(Protocol):
    def on_connected(self) -> None: ...
    def on_failed(self, reason: str) -> None: ...
    def on_rtp(self, packet: bytes, now: float) -> None: ...
    def on_rtcp(self, packet: bytes, now: float) -> None: ...
    def on_data(self, label: str, message: bytes) -> Iterator[None]: ...


class Transport:
    """Implements `udp_mux.MuxEndpoint` and `forwarding.PacketSink`."""

    def __init__(
        self,
        mux: UdpMux,
        certificate: RTCCertificate,
        hosts: tuple[str, ...],
        owner: TransportOwner,
        share: Share,
        channels: Iterable[str] = (),
    ) -> None:
        self.is_connected = False
        self.refused = 0  # datagrams with data, for which there was no share
        self._share = share
        self._packets = Budget(_MAX_PACKETS, _MAX_PACKETS)
        self._checks = Budget(_MAX_CHECKS, _MAX_CHECKS)
        self._held: deque[bytes] = deque()  # datagrams with data, the next behind `_parts`
        self._parts: Iterator[None] = iter(())  # what is to be done for the one before
        self._is_due = False  # whether another turn was asked for
        self._mux = mux
        self._owner: TransportOwner | None = owner  # None once closed
        self._hosts = hosts
        self._certificate = certificate
        self._credentials: dict[str, str] = {}  # ufrag -> password; the last one is current
        self._remote_ufrag: str | None = None
        self._fingerprints: tuple[tuple[str, str], ...] = ()
        self._path = ReturnPath()
        self._last_heard: float | None = None
        self.is_ended = False  # the client said goodbye
        self._is_server: bool | None = None  # of DTLS; None until the client's SDP says it
        self._dtls: DtlsAssociation | None = None
        self._early: deque[bytes] = deque(maxlen=_MAX_EARLY)  # came before the client's answer
        self._outbound: pylibsrtp.Session | None = None
        self._inbound: pylibsrtp.Session | None = None
        self._inbound_ssrcs: set[bytes] = set()
        self._inbox: deque[tuple[str, bytes]] = deque()  # of one part of a datagram
        self.data = DataChannels(self._write_dtls, self._take_in, channels)

    def on_offer(self, offer: SdpOffer) -> LocalTransport:
        """Take the client's transport attributes; a new ufrag is an ICE restart."""
        if not self.is_connected:
            self._fingerprints = offer.fingerprints
        self._is_server = False
        self._path.know(offer.ice_ufrag, offer.ice_password)
        if offer.ice_ufrag != self._remote_ufrag:
            self._remote_ufrag = offer.ice_ufrag
            self.restart()
        return self.local()

    def on_answer(self, answer: SdpOffer, now: float) -> None:
        """Take the client's answer to an offer of ours, and go on with what came before it."""
        self._path.know(answer.ice_ufrag, answer.ice_password)
        if self.is_connected or self._owner is None:
            return
        self._fingerprints = answer.fingerprints
        if self._is_server is None:
            self._is_server = answer.is_active
        if self._path.address is not None:
            self._begin_dtls(self._is_server)
        self._held.extendleft(reversed(self._early))
        self._early.clear()
        self._go_on(now)

    def restart(self) -> None:
        """Take new ICE credentials; the previous ones stay valid until the client uses these."""
        self._forget_older_credentials()
        ufrag, password = secrets.token_hex(8), secrets.token_hex(16)
        self._credentials[ufrag] = password
        self._mux.register(ufrag, password, self)

    def local(self) -> LocalTransport:
        """What SDP says of this end, once there are credentials."""
        ufrag, password = next(reversed(self._credentials.items()))
        digest = fingerprint(self._certificate)
        return LocalTransport(ufrag, password, digest, self._hosts, self._mux.port)

    def _forget_older_credentials(self) -> None:
        for ufrag in list(self._credentials)[:-1]:
            del self._credentials[ufrag]
            self._mux.unregister(ufrag)

    def silence(self, now: float) -> float:
        """Seconds since the client was last heard of; 0 before the first time."""
        return now - self._last_heard if self._last_heard is not None else 0.0

    def is_silent(self, now: float) -> bool:
        """Whether a client that was here has not been heard of for too long."""
        return self.silence(now) > (_GOODBYE_TIMEOUT if self.is_ended else _SILENCE_TIMEOUT)

    def tick(self, now: float) -> None:
        if self._dtls is not None:
            self._dtls.tick()
        self._go_on(now)

    def close(self) -> None:
        self.data.close()
        dtls, self._dtls = self._dtls, None
        if dtls is not None:
            dtls.close()
        self._owner = self._outbound = self._inbound = None
        self._held.clear()
        self._early.clear()
        self._inbox.clear()
        self._parts = iter(())
        self.is_connected = False
        self._mux.remove(self)

    def holds(self, address: Address, now: float) -> bool:
        """Whether the client is at `address`, and was heard there lately."""
        is_there = self.is_connected and not self.is_ended and address == self._path.address
        return is_there and self.silence(now) < _HOLD

    def takes_check(self, now: float) -> bool:
        """Whether another check is looked at: one of the first, or the client has a share left."""
        return not (self._checks.wait(now) and self._share.wait(now))

    def charge(self, cost: float, now: float) -> None:
        """An authentic check took that much of the processor."""
        self._checks.spend(1, now)
        self._share.spend(cost, now)

    def on_check(self, ufrag: str, address: Address, is_nominating: bool, now: float) -> None:
        """An authentic connectivity check arrived and was answered."""
        if self.is_ended or self._owner is None:
            return
        self._last_heard = now
        question = self._path.on_check(ufrag, address, now, is_nominating=is_nominating)
        if question is not None:
            self._mux.send(question, address)
        if ufrag == next(reversed(self._credentials)):
            self._forget_older_credentials()
        if self._is_server is not None:
            self._begin_dtls(self._is_server)

    def on_reached(self, answer: stun.Message, address: Address) -> None:
        """An answer to a check of ours arrived."""
        self._path.on_answer(answer, address)

    def _begin_dtls(self, is_server: bool) -> None:
        if self._dtls is None:
            self._dtls = DtlsAssociation(self._certificate, self._send, is_server=is_server)
            with self._failing():
                self._dtls.shake_hands()

    def on_datagram(self, data: bytes, now: float) -> None:
        owner = self._owner
        if owner is None or self.is_ended:
            return
        # By their first byte, RFC 7983: DTLS, and RTP or RTCP.
        if 20 <= data[0] <= 63:
            self._last_heard = now
            if len(self._held) < MAX_HELD:
                self._held.append(data)
            else:
                self.refused += 1  # SCTP sends again what is reliable
            self._go_on(now)
        elif 128 <= data[0] <= 191 and len(data) >= 8 and self._inbound is not None:
            self._on_srtp(owner, self._inbound, data, now)

    def _go_on(self, now: float) -> None:
        """Take what is held, as far as the client's share and its part of a turn reach."""
        while not (self._share.wait(now) or self._share.is_turn_over(now)):
            with self._share.used(now):
                is_done = next(self._parts, _DONE) is _DONE
            if is_done and not self._held:
                return
            if is_done:
                self._parts = self._take(self._open(self._held.popleft(), now))
        if not (self._is_due or self._share.wait(now)):
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._have_turn)

    def _have_turn(self) -> None:
        self._is_due = False
        self._go_on(asyncio.get_running_loop().time())

    def _open(self, data: bytes, now: float) -> list[bytes]:
        """Open a datagram; who sends what says nothing pays for that, others for what they say."""
        owner, dtls = self._owner, self._dtls
        if owner is None:
            return []
        if dtls is None:
            self._early.append(data)
            return []
        begun, packets = time.thread_time(), list[bytes]()
        with self._failing():
            packets = dtls.receive(data)
            if dtls.is_connected and self._outbound is None:
                self._on_handshake_done(owner, dtls)
        if dtls.is_ended:
            self.is_ended = True
            self.is_connected = False
        if not packets:
            self._share.spend(time.thread_time() - begun, now)
        return packets

    def _take(self, packets: list[bytes]) -> Iterator[None]:
        """Take what was in a datagram, in parts: it may be many messages, each for everybody."""
        for packet in packets:
            for _ in self.data.take(packet):
                yield
                while self._inbox and self._owner is not None:
                    yield from self._owner.on_data(*self._inbox.popleft())
                    yield

    def _take_in(self, label: str, message: bytes) -> None:
        self._inbox.append((label, message))

    def _on_srtp(
        self, owner: TransportOwner, session: pylibsrtp.Session, data: bytes, now: float
    ) -> None:
        is_control = 192 <= data[1] <= 223  # RFC 5761 §4
        ssrc = data[4:8] if is_control else data[8:12]
        if ssrc not in self._inbound_ssrcs and len(self._inbound_ssrcs) >= _MAX_INBOUND_SSRCS:
            return
        try:
            plain = session.unprotect_rtcp(data) if is_control else session.unprotect(data)
        except (pylibsrtp.Error, ValueError):
            return
        self._inbound_ssrcs.add(ssrc)
        self._last_heard = now
        # Only now: anybody can write another's address on what is not authentic.
        if not self._packets.take(1, now) or (is_control and self._share.wait(now)):
            return
        if is_control:
            with self._share.used(now):
                owner.on_rtcp(plain, now)
        else:
            owner.on_rtp(plain, now)

    def _on_handshake_done(self, owner: TransportOwner, dtls: DtlsAssociation) -> None:
        if not dtls.peer_matches(self._fingerprints):
            raise DtlsError("the certificate is not the one in the offer")
        self._outbound, self._inbound = dtls.srtp_sessions()
        self.is_connected = True
        self.data.start(is_server=dtls.is_server)
        owner.on_connected()

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """What DTLS cannot do in here ends the transport."""
        try:
            yield
        except DtlsError as error:
            if self._owner is not None:
                self._owner.on_failed(str(error))

    def _write_dtls(self, data: bytes) -> None:
        if self._dtls is not None:
            self._dtls.write(data)

    def _send(self, datagram: bytes) -> None:
        if self._path.address is not None:
            self._mux.send(datagram, self._path.address)

    def send_rtp(self, packet: bytes) -> None:
        if self._outbound is not None and self._path.address is not None:
            try:
                self._mux.send(self._outbound.protect(packet), self._path.address)
            except (pylibsrtp.Error, ValueError):
                return

    def send_rtcp(self, packet: bytes) -> None:
        if self._outbound is not None:
            with contextlib.suppress(pylibsrtp.Error, ValueError):
                self._send(self._outbound.protect_rtcp(packet))

    def forget(self, ssrc: int) -> None:
        """Nothing more will be sent under `ssrc`: libsrtp may drop its context."""
        if self._outbound is not None:
            with contextlib.suppress(pylibsrtp.Error):  # nothing was ever sent
                self._outbound.remove_stream(ssrc)
