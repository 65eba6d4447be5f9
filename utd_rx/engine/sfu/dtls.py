"""DTLS 1.2 over datagrams somebody else moves, and the SRTP keys that come out of it.

An offer of the client's we always answer `a=setup:active`, so the client listens and we send the
ClientHello. An offer of ours leaves it to the client, who mostly wants to be active itself. Trust
is the fingerprint in the client's SDP (RFC 5763). Certificates, ciphers and SRTP profiles are
aiortc's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Final

from aiortc import rtcdtlstransport as aiortc
from OpenSSL import SSL
from pylibsrtp import Policy, Session

# A flight larger than this is split by OpenSSL, so that no datagram needs IP fragmentation.
_MTU: Final = 1200
_READ_SIZE: Final = 65536
_EXPORTER_LABEL: Final = b"EXTRACTOR-dtls_srtp"
_REPLAY_WINDOW: Final = 1024


def fingerprint(certificate: aiortc.RTCCertificate) -> str:
    """The SHA-256 of a certificate as SDP writes it."""
    digests = {one.algorithm: one.value for one in certificate.getFingerprints()}
    return digests["sha-256"]


class DtlsError(Exception):
    """The handshake failed or the peer is not who its SDP said."""


class DtlsAssociation:
    """One association under our `certificate`; `send` takes each outgoing datagram."""

    def __init__(
        self,
        certificate: aiortc.RTCCertificate,
        send: Callable[[bytes], None],
        *,
        is_server: bool = False,
    ) -> None:
        context = certificate._create_ssl_context(aiortc.SRTP_PROFILES)
        context.set_options(SSL.OP_NO_QUERY_MTU)
        self._connection = SSL.Connection(context)
        if is_server:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()
        self.is_server = is_server
        self._connection.set_ciphertext_mtu(_MTU)
        self._send = send
        self.is_connected = False
        self.is_ended = False  # the peer said goodbye

    def receive(self, datagram: bytes) -> list[bytes]:
        """Return the application data in one datagram; `DtlsError` ends the association."""
        if not datagram:
            return []
        self._connection.bio_write(datagram)
        if not self.is_connected:
            self.shake_hands()
        return self._read() if self.is_connected else []

    def shake_hands(self) -> None:
        """Begin, or go on after an answer; `DtlsError` ends the association."""
        try:
            self._connection.do_handshake()
            self.is_connected = True
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            raise DtlsError(f"handshake failed: {error}") from error
        finally:
            self._flush()

    def _read(self) -> list[bytes]:
        messages: list[bytes] = []
        while True:
            try:
                messages.append(self._connection.recv(_READ_SIZE))
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self.is_connected = False
                self.is_ended = True
                break
            except SSL.Error as error:
                raise DtlsError("the association broke") from error
        self._flush()
        return messages

    def write(self, data: bytes) -> None:
        if self.is_connected:
            with contextlib.suppress(SSL.Error):
                self._connection.send(data)
                self._flush()

    def tick(self) -> None:
        """Retransmit the last flight when OpenSSL's timer is due."""
        if self.is_connected:
            return
        remaining = self._connection.DTLSv1_get_timeout()
        if remaining is not None and remaining <= 0:
            self._connection.DTLSv1_handle_timeout()
            self._flush()

    def _flush(self) -> None:
        # One read returns at most one record's worth, so a flight needs several.
        while True:
            try:
                datagram = self._connection.bio_read(_MTU + 300)
            except SSL.WantReadError:
                return
            self._send(datagram)

    def peer_matches(self, fingerprints: Iterable[tuple[str, str]]) -> bool:
        """Whether the peer's certificate has one of the `(hash name, hex)` fingerprints."""
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        return certificate is not None and any(
            aiortc.certificate_digest(certificate, name) == digest
            for name, digest in fingerprints
            if name in aiortc.X509_DIGEST_ALGORITHMS
        )

    def srtp_sessions(self) -> tuple[Session, Session]:
        """The SRTP sessions, outbound and inbound; `DtlsError` when no profile was agreed on."""
        name = self._connection.get_selected_srtp_profile()
        profile = next((one for one in aiortc.SRTP_PROFILES if one.openssl_profile == name), None)
        if profile is None:
            raise DtlsError("no common SRTP profile")
        size = 2 * (profile.key_length + profile.salt_length)
        material = self._connection.export_keying_material(_EXPORTER_LABEL, size)
        sides = (1, 0) if self.is_server else (0, 1)  # the client's keys come first
        ours, theirs = (profile.get_key_and_salt(material, side) for side in sides)
        outbound = _policy(ours, Policy.SSRC_ANY_OUTBOUND, profile.libsrtp_profile)
        inbound = _policy(theirs, Policy.SSRC_ANY_INBOUND, profile.libsrtp_profile)
        return Session(outbound), Session(inbound)

    def close(self) -> None:
        if self.is_connected:
            self.is_connected = False
            with contextlib.suppress(SSL.Error):  # the peer was quicker
                self._connection.shutdown()
                self._flush()


def _policy(key: bytes, direction: int, profile: int) -> Policy:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
    policy.allow_repeat_tx = True  # a NACKed packet is sent again as it was
    policy.window_size = _REPLAY_WINDOW
    return policy
