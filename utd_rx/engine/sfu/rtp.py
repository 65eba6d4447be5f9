"""RTP headers and the few RTCP messages a forwarder reads and writes. Pure, no payload knowledge.

RTP: RFC 3550, header extensions RFC 8285 (both forms are read, the one-byte form is written).
RTCP feedback: RFC 4585 (PLI, NACK), RFC 5104 (FIR), REMB draft-alvestrand-rmcat-remb-03.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

_FIXED: Final = struct.Struct("!BBHII")
_EXTENSION: Final = struct.Struct("!HH")
_ONE_BYTE_PROFILE: Final = 0xBEDE
_NO_EXTENSIONS: Final[Mapping[int, bytes]] = MappingProxyType({})

SENDER_REPORT: Final = 200
RTP_FEEDBACK: Final = 205
PAYLOAD_FEEDBACK: Final = 206
NACK_FORMAT: Final = 1
PLI_FORMAT: Final = 1
FIR_FORMAT: Final = 4


class RtpHeader(NamedTuple):
    """Where things are in one RTP packet. A NamedTuple: it is built for every packet."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    extensions: Mapping[int, bytes]
    body_offset: int  # first byte after fixed header, CSRCs and extensions


def is_rtp_or_rtcp(data: bytes) -> bool:
    """RFC 7983: the first byte of RTP and RTCP is 128 to 191."""
    return len(data) >= 8 and 128 <= data[0] <= 191


def is_rtcp(data: bytes) -> bool:
    """RFC 5761 §4: of those, packet types 192 to 223 are RTCP."""
    return 192 <= data[1] <= 223


def parse_rtp(packet: bytes) -> RtpHeader | None:
    """Walk the header; None when the packet is not RTP version 2 or is cut short."""
    size = len(packet)
    if size < 12 or packet[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(packet)
    offset = 12 + 4 * (first & 0x0F)
    extensions = _NO_EXTENSIONS
    if first & 0x10:
        if offset + 4 > size:
            return None
        profile, words = _EXTENSION.unpack_from(packet, offset)
        start = offset + 4
        offset = start + 4 * words
        if offset > size:
            return None
        if profile == _ONE_BYTE_PROFILE:
            extensions = _walk_one_byte(packet, start, offset)
        elif profile & 0xFFF0 == 0x1000:
            extensions = _walk_two_byte(packet, start, offset)
    if offset > size:
        return None
    return RtpHeader(second & 0x7F, sequence, timestamp, ssrc, extensions, offset)


def _walk_one_byte(packet: bytes, offset: int, end: int) -> Mapping[int, bytes]:
    found: dict[int, bytes] = {}
    while offset < end:
        head = packet[offset]
        offset += 1
        if head == 0:
            continue
        identifier = head >> 4
        if identifier == 15:
            break
        stop = offset + (head & 0x0F) + 1
        if stop > end:
            break
        found[identifier] = packet[offset:stop]
        offset = stop
    return found


def _walk_two_byte(packet: bytes, offset: int, end: int) -> Mapping[int, bytes]:
    found: dict[int, bytes] = {}
    while offset + 1 < end:
        identifier = packet[offset]
        if identifier == 0:
            offset += 1
            continue
        stop = offset + 2 + packet[offset + 1]
        if stop > end:
            break
        found[identifier] = packet[offset + 2 : stop]
        offset = stop
    return found


def extension_element(identifier: int, value: bytes) -> bytes:
    """One element of a one-byte header extension, empty when it cannot be written in that form."""
    if not 1 <= identifier <= 14 or not 1 <= len(value) <= 16:
        return b""
    return bytes(((identifier << 4) | (len(value) - 1),)) + value


def rewrite(
    packet: bytes,
    header: RtpHeader,
    *,
    ssrc: int,
    payload_type: int,
    sequence: int,
    extensions: bytes,
) -> bytes:
    """The same packet with another SSRC, payload type, sequence number and extension block.

    CSRCs are dropped; marker, padding, timestamp and payload stay as they are.

    Args:
        extensions: concatenated `extension_element`s.
    """
    first = 0x80 | (packet[0] & 0x20)
    second = (packet[1] & 0x80) | payload_type
    if not extensions:
        fixed = _FIXED.pack(first, second, sequence, header.timestamp, ssrc)
        return fixed + packet[header.body_offset :]
    padded = extensions + bytes(-len(extensions) % 4)
    return b"".join(
        (
            _FIXED.pack(first | 0x10, second, sequence, header.timestamp, ssrc),
            _EXTENSION.pack(_ONE_BYTE_PROFILE, len(padded) // 4),
            padded,
            packet[header.body_offset :],
        )
    )


def audio_level(value: bytes) -> int:
    """Level of an RFC 6464 extension in -dBov: 0 is loudest, 127 is silence."""
    return value[0] & 0x7F


class RtcpPacket(NamedTuple):
    """One packet of a compound; `body` starts after the four-byte RTCP header."""

    kind: int
    format: int
    body: bytes


def walk_rtcp(data: bytes) -> Iterator[RtcpPacket]:
    """The packets of a compound, as far as they are whole."""
    offset = 0
    while offset + 4 <= len(data) and data[offset] >> 6 == 2:
        words = int.from_bytes(data[offset + 2 : offset + 4], "big")
        end = offset + 4 + 4 * words
        if end > len(data):
            return
        yield RtcpPacket(data[offset + 1], data[offset] & 0x1F, data[offset + 4 : end])
        offset = end


def feedback_media_ssrcs(packet: RtcpPacket) -> tuple[int, ...]:
    """Which streams a NACK, PLI or FIR is about."""
    body = packet.body
    if packet.kind == PAYLOAD_FEEDBACK and packet.format == FIR_FORMAT:
        return tuple(
            int.from_bytes(body[offset : offset + 4], "big") for offset in range(8, len(body), 8)
        )
    return (int.from_bytes(body[4:8], "big"),) if len(body) >= 8 else ()


def nacked_sequences(packet: RtcpPacket) -> list[int]:
    """The sequence numbers a generic NACK asks for."""
    sequences: list[int] = []
    for offset in range(8, len(packet.body) - 3, 4):
        first, bits = struct.unpack_from("!HH", packet.body, offset)
        sequences.append(first)
        sequences.extend((first + bit + 1) & 0xFFFF for bit in range(16) if bits >> bit & 1)
    return sequences


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def pli(sender: int, media: int) -> bytes:
    """Picture loss indication: the publisher shall send a key frame."""
    return _packet(PAYLOAD_FEEDBACK, PLI_FORMAT, struct.pack("!II", sender, media))


def nack(sender: int, media: int, sequences: Iterable[int]) -> bytes:
    """Generic NACK, one pair per lost packet: simple, and losses are few."""
    pairs = b"".join(struct.pack("!HH", sequence, 0) for sequence in sequences)
    return _packet(RTP_FEEDBACK, NACK_FORMAT, struct.pack("!II", sender, media) + pairs)


def remb(sender: int, bitrate: int, ssrcs: Iterable[int]) -> bytes:
    """Receiver-estimated maximum bitrate: lets a publisher start above its cautious default."""
    media = tuple(ssrcs)
    exponent = max(0, bitrate.bit_length() - 18)
    mantissa = bitrate >> exponent
    body = struct.pack("!II4sI", sender, 0, b"REMB", len(media) << 24 | exponent << 18 | mantissa)
    return _packet(PAYLOAD_FEEDBACK, 15, body + b"".join(struct.pack("!I", one) for one in media))


def receiver_report(sender: int, blocks: Iterable[bytes]) -> bytes:
    """Receiver report of at most 31 `report_block`s."""
    chosen = tuple(blocks)[:31]
    return _packet(201, len(chosen), struct.pack("!I", sender) + b"".join(chosen))


def report_block(
    ssrc: int, *, fraction_lost: int, lost: int, highest: int, last_report: int, delay: int
) -> bytes:
    """One block of a receiver report (RFC 3550 §6.4.1); jitter is reported as 0.

    Args:
        highest: extended highest sequence number received.
        last_report: middle 32 bits of the last sender report's NTP time.
        delay: since then, in units of 1/65536 s.
    """
    return struct.pack(
        "!IIIIII",
        ssrc,
        fraction_lost << 24 | max(-0x800000, min(lost, 0x7FFFFF)) & 0xFFFFFF,
        highest & 0xFFFFFFFF,
        0,
        last_report,
        delay & 0xFFFFFFFF,
    )


def relayed_sender_report(ssrc: int, body: bytes, packets: int, octets: int, cname: str) -> bytes:
    """A publisher's sender report under another SSRC: its clock pair stays, counts are ours.

    Args:
        body: of the original report, at least 24 bytes.
    """
    clocks = body[4:16]
    counts = struct.pack("!II", packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
    report = _packet(SENDER_REPORT, 0, struct.pack("!I", ssrc) + clocks + counts)
    name = cname.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, 1, len(name)) + name + b"\0"
    chunk += bytes(-len(chunk) % 4)
    return report + _packet(202, 1, chunk)
