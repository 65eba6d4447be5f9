"""ICE, DTLS and SRTP of a participant who may send anything, one UDP socket; the server is client.

Written anew from the RFCs, so that a test of it against the embedded media server is one of two.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import secrets
from collections.abc import Callable
from typing import Any, Final

import pylibsrtp
from aioice import stun
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

_PROFILE: Final = b"SRTP_AES128_CM_SHA1_80"
_KEY, _SALT = 16, 14
_CHECK_EVERY: Final = 0.5
_PATIENCE: Final = 20.0


class Identity:
    """A certificate of one's own, and the fingerprint that goes into an offer."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mallory")])
        now = datetime.datetime.now(datetime.UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )
        digest = hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER))
        self.fingerprint = digest.digest().hex(":").upper()
        self.ufrag, self.password = secrets.token_hex(4), secrets.token_hex(12)


class RawTransport(asyncio.DatagramProtocol):
    """`on_data` gets what comes by DTLS, `on_rtp` plain RTP and RTCP."""

    def __init__(self, identity: Identity) -> None:
        self.on_data: Callable[[bytes], None] = lambda _: None
        self.on_media: Callable[[bytes], None] = lambda _: None
        self.received = 0
        """Bytes, of whatever came."""
        self.news = asyncio.Event()
        """Set whenever something came."""
        self.sent = 0
        self._identity = identity
        self._remote = ("", "")
        self._address: tuple[str, int] = ("", 0)
        self._udp: asyncio.DatagramTransport | None = None
        self._dtls = self._make_dtls()
        self._keys: tuple[pylibsrtp.Session, pylibsrtp.Session] | None = None
        self._up = asyncio.Event()
        self._checking: asyncio.Task[None] | None = None

    def _make_dtls(self) -> SSL.Connection:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_privatekey(self._identity.key)
        context.use_certificate(self._identity.certificate)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.set_tlsext_use_srtp(_PROFILE)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        dtls = SSL.Connection(context)
        dtls.set_accept_state()
        dtls.set_ciphertext_mtu(1200)
        return dtls

    async def open(self, address: tuple[str, int], ufrag: str, password: str) -> None:
        """Connect to who answered so."""
        self._remote, self._address = (ufrag, password), address
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self._checking = asyncio.create_task(self._check(), name="mallory checks")
        async with asyncio.timeout(_PATIENCE):
            await self._up.wait()

    async def _check(self) -> None:
        while True:
            self.send_raw(self.a_check())
            await asyncio.sleep(_CHECK_EVERY if self._up.is_set() else 0.05)

    def a_check(self) -> bytes:
        """Return an authentic connectivity check."""
        ufrag, password = self._remote
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{ufrag}:{self._identity.ufrag}"
        request.attributes["PRIORITY"] = 1
        request.attributes["ICE-CONTROLLING"] = 1
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(password.encode())
        return bytes(request)

    @property
    def server(self) -> tuple[str, int]:
        """Where the server is."""
        return self._address

    def send_raw(self, datagram: bytes) -> None:
        """Send bytes as they are."""
        if self._udp is not None:
            self.sent += len(datagram)
            self._udp.sendto(datagram, self._address)

    def datagram_received(self, data: bytes, _addr: Any) -> None:
        """Take what the server sent."""
        self.received += len(data)
        self.news.set()
        if data[0] < 4:
            self._on_stun(data)
        elif 20 <= data[0] <= 63:
            self._on_dtls(data)
        elif self._keys is not None and len(data) > 12:
            _, inbound = self._keys
            is_control = 192 <= data[1] <= 223
            with contextlib.suppress(pylibsrtp.Error):
                self.on_media(
                    inbound.unprotect_rtcp(data) if is_control else inbound.unprotect(data)
                )

    def _on_stun(self, data: bytes) -> None:
        message = stun.parse_message(data)
        if message.message_class == stun.Class.REQUEST:  # a server that is no ICE-lite checks, too
            answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, message.transaction_id)
            answer.attributes["XOR-MAPPED-ADDRESS"] = self._address
            answer.add_message_integrity(self._identity.password.encode())
            self.send_raw(bytes(answer))

    def _on_dtls(self, data: bytes) -> None:
        self._dtls.bio_write(data)
        if self._keys is None:
            with contextlib.suppress(SSL.WantReadError):
                self._dtls.do_handshake()
                self._keys = self._agreed()
                self._up.set()
        while self._keys is not None:
            try:
                self.on_data(self._dtls.recv(65536))
            except (SSL.WantReadError, SSL.ZeroReturnError, SSL.Error):
                break
        self._flush()

    def _agreed(self) -> tuple[pylibsrtp.Session, pylibsrtp.Session]:
        size = 2 * (_KEY + _SALT)
        material = self._dtls.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        keys, salts = material[: 2 * _KEY], material[2 * _KEY :]
        theirs, ours = (keys[n * _KEY :][:_KEY] + salts[n * _SALT :][:_SALT] for n in (0, 1))
        policies = [
            pylibsrtp.Policy(key=ours, ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND),
            pylibsrtp.Policy(key=theirs, ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND),
        ]
        for one in policies:
            one.allow_repeat_tx = True
        return pylibsrtp.Session(policies[0]), pylibsrtp.Session(policies[1])

    def _flush(self) -> None:
        with contextlib.suppress(SSL.WantReadError):
            while True:
                self.send_raw(self._dtls.bio_read(1500))

    def send_data(self, data: bytes) -> None:
        """Send by DTLS."""
        with contextlib.suppress(SSL.Error):
            self._dtls.send(data)
            self._flush()

    def send_media(self, packet: bytes) -> None:
        """Send RTP or RTCP, whichever it looks like; what libsrtp does not take is not sent."""
        if self._keys is None:
            return
        outbound, _ = self._keys
        is_control = len(packet) > 1 and 192 <= packet[1] <= 223
        with contextlib.suppress(pylibsrtp.Error, ValueError):
            self.send_raw(outbound.protect_rtcp(packet) if is_control else outbound.protect(packet))

    async def aclose(self) -> None:
        """Vanish without a word."""
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait([self._checking])
        if self._udp is not None:
            self._udp.close()
            await asyncio.sleep(0)
