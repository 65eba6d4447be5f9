"""The two STUN messages an ICE-lite agent needs (RFC 8489, RFC 8445 §2.5). Pure.

The client is always controlling and sends Binding requests; we only check and answer them.
"""

from __future__ import annotations

import hmac
import struct
import zlib
from typing import Final

from attrs import frozen

Address = tuple[str, int]

_HEADER: Final = struct.Struct("!HHI12s")
_ATTRIBUTE: Final = struct.Struct("!HH")
_MAGIC_COOKIE: Final = 0x2112A442
_BINDING_REQUEST: Final = 0x0001
_BINDING_RESPONSE: Final = 0x0101
_USERNAME: Final = 0x0006
_MESSAGE_INTEGRITY: Final = 0x0008
_XOR_MAPPED_ADDRESS: Final = 0x0020
_USE_CANDIDATE: Final = 0x0025
_FINGERPRINT: Final = 0x8028
_FINGERPRINT_XOR: Final = 0x5354554E


@frozen
class BindingRequest:
    """A connectivity check, not yet authenticated."""

    transaction_id: bytes
    local_ufrag: str
    is_nominating: bool
    signed: bytes
    integrity: bytes

    def is_authentic(self, password: str) -> bool:
        """Whether the sender knew `password`, our ICE password."""
        return hmac.compare_digest(
            hmac.digest(password.encode(), self.signed, "sha1"), self.integrity
        )


def is_stun(data: bytes) -> bool:
    """Whether the datagram is STUN by RFC 7983's first-byte rule and the magic cookie."""
    return len(data) >= _HEADER.size and data[0] < 4 and data[4:8] == b"\x21\x12\xa4\x42"


def parse_binding_request(data: bytes) -> BindingRequest | None:
    """Parse a Binding request that carries USERNAME and MESSAGE-INTEGRITY, else None."""
    if not is_stun(data):
        return None
    kind, length, _, transaction_id = _HEADER.unpack_from(data)
    if kind != _BINDING_REQUEST or length != len(data) - _HEADER.size:
        return None
    username: str | None = None
    is_nominating = False
    offset = _HEADER.size
    while offset + _ATTRIBUTE.size <= len(data):
        attribute, size = _ATTRIBUTE.unpack_from(data, offset)
        value = data[offset + 4 : offset + 4 + size]
        if len(value) != size:
            return None
        if attribute == _USERNAME:
            username = value.decode("utf-8", "replace")
        elif attribute == _USE_CANDIDATE:
            is_nominating = True
        elif attribute == _MESSAGE_INTEGRITY:
            if username is None or size != 20:
                return None
            # The hash covers the header as if the message ended with this attribute.
            signed = data[:2] + struct.pack("!H", offset + 24 - _HEADER.size) + data[4:offset]
            return BindingRequest(
                transaction_id, username.partition(":")[0], is_nominating, signed, value
            )
        offset += 4 + size + (-size % 4)
    return None


def binding_response(transaction_id: bytes, address: Address, password: str) -> bytes:
    """The success response that tells the client its IPv4 `address`, signed and fingerprinted."""
    host, port = address
    octets = bytes(int(part) for part in host.split("."))
    cookie = struct.pack("!I", _MAGIC_COOKIE)
    mapped = struct.pack("!BBH", 0, 1, port ^ (_MAGIC_COOKIE >> 16)) + bytes(
        a ^ b for a, b in zip(octets, cookie, strict=True)
    )
    body = _ATTRIBUTE.pack(_XOR_MAPPED_ADDRESS, len(mapped)) + mapped
    digest = hmac.digest(
        password.encode(), _message(_BINDING_RESPONSE, transaction_id, body, 24), "sha1"
    )
    body += _ATTRIBUTE.pack(_MESSAGE_INTEGRITY, len(digest)) + digest
    checksum = zlib.crc32(_message(_BINDING_RESPONSE, transaction_id, body, 8)) ^ _FINGERPRINT_XOR
    body += _ATTRIBUTE.pack(_FINGERPRINT, 4) + struct.pack("!I", checksum)
    return _message(_BINDING_RESPONSE, transaction_id, body, 0)


def _message(kind: int, transaction_id: bytes, body: bytes, still_to_come: int) -> bytes:
    length = len(body) + still_to_come
    return _HEADER.pack(kind, length, _MAGIC_COOKIE, transaction_id) + body
