"""RTP headers, read and written, and the RTCP of a forwarder. Pure, no payload knowledge.

RTP is RFC 3550 with the header extensions of RFC 8285, one byte or two. RTCP is aiortc's: RFC 4585
(PLI, NACK), RFC 5104 (FIR), draft-alvestrand-rmcat-remb-03.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from aiortc import rtp as rtcp

_FIXED: Final = struct.Struct("!BBHII")
_EXTENSION: Final = struct.Struct("!HH")
_ONE_BYTE_PROFILE: Final = 0xBEDE
_TWO_BYTE_PROFILE: Final = 0x1000  # and 15 more, by its last four bits
_CNAME: Final = 1

Feedback = rtcp.RtcpRtpfbPacket | rtcp.RtcpPsfbPacket


class RtpHeader(NamedTuple):
    """Where things are in one RTP packet. A NamedTuple: it is built for every packet."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    extensions: Mapping[int, bytes]
    body_offset: int  # first byte after fixed header, CSRCs and extensions


def parse_rtp(packet: bytes) -> RtpHeader | None:
    """Walk the header; None when the packet is not RTP version 2 or is cut short."""
    size = len(packet)
    if size < 12 or packet[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(packet)
    offset = 12 + 4 * (first & 0x0F)
    extensions: Mapping[int, bytes] = {}
    if first & 0x10:
        if offset + 4 > size:
            return None
        profile, words = _EXTENSION.unpack_from(packet, offset)
        start = offset + 4
        offset = start + 4 * words
        if offset > size:
            return None
        if profile == _ONE_BYTE_PROFILE:
            extensions = _walk_elements(packet, start, offset)
        elif profile & 0xFFF0 == _TWO_BYTE_PROFILE:
            extensions = _walk_long_elements(packet, start, offset)
    if offset > size:
        return None
    return RtpHeader(second & 0x7F, sequence, timestamp, ssrc, extensions, offset)


def _walk_elements(packet: bytes, offset: int, end: int) -> Mapping[int, bytes]:
    """Not aiortc's walk: that is slower, and fails where the rest is cut short."""
    found: dict[int, bytes] = {}
    while offset < end:
        head = packet[offset]
        offset += 1
        if head == 0:  # padding
            continue
        stop = offset + (head & 0x0F) + 1
        # Id 15 ends it, and so does 0 with a length (RFC 8285, 4.2).
        if head >> 4 in (0, 15) or stop > end:
            break
        found[head >> 4] = packet[offset:stop]
        offset = stop
    return found


def _walk_long_elements(packet: bytes, offset: int, end: int) -> Mapping[int, bytes]:
    found: dict[int, bytes] = {}
    while offset < end:
        identifier = packet[offset]
        offset += 1
        if identifier == 0:  # padding
            continue
        if offset == end or offset + 1 + packet[offset] > end:
            break
        stop = offset + 1 + packet[offset]
        found[identifier] = packet[offset + 1 : stop]
        offset = stop
    return found


def payload(packet: bytes, header: RtpHeader) -> bytes:
    """What is between header and padding."""
    padding = packet[-1] if packet[0] & 0x20 else 0
    return packet[header.body_offset : max(header.body_offset, len(packet) - padding)]


def is_marked(packet: bytes) -> bool:
    return bool(packet[1] & 0x80)


def write_rtp(
    *,
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    is_last: bool,
    extensions: bytes,
    payload: bytes,
) -> bytes:
    """A packet with that `extension_block`."""
    first = 0x90 if extensions else 0x80
    second = 0x80 | payload_type if is_last else payload_type
    return _FIXED.pack(first, second, sequence, timestamp, ssrc) + extensions + payload


@lru_cache(maxsize=1024)  # most packets of a stream have the same, or one of some levels
def extension_block(*extensions: tuple[int, bytes]) -> bytes:
    """Header extensions; one without a number that can be written is left out."""
    elements = [(one, value) for one, value in extensions if 1 <= one <= 14]
    if not elements:
        return b""
    profile = _ONE_BYTE_PROFILE
    if all(1 <= len(value) <= 16 for _, value in elements):
        parts = [bytes((one << 4 | len(value) - 1,)) + value for one, value in elements]
    else:
        profile = _TWO_BYTE_PROFILE
        parts = [bytes((one, len(value))) + value for one, value in elements if len(value) < 256]
    body = b"".join(parts)
    padded = body + bytes(-len(body) % 4)
    return _EXTENSION.pack(profile, len(padded) // 4) + padded


def parse_rtcp(data: bytes) -> list[rtcp.AnyRtcpPacket]:
    """The known packets of a compound; none of one that is malformed anywhere."""
    try:
        return rtcp.RtcpPacket.parse(data)
    except (ValueError, struct.error, IndexError):
        return []


def media_ssrcs(packet: Feedback) -> tuple[int, ...]:
    """Which streams a NACK, PLI or FIR is about."""
    if isinstance(packet, rtcp.RtcpPsfbPacket) and packet.fmt == rtcp.RTCP_PSFB_FIR:
        fci = packet.fci
        return tuple(int.from_bytes(fci[at : at + 4], "big") for at in range(0, len(fci), 8))
    return (packet.media_ssrc,)


def nacked_sequences(packet: Feedback) -> list[int]:
    """The sequence numbers a generic NACK asks for; may exceed 16 bits."""
    if isinstance(packet, rtcp.RtcpRtpfbPacket) and packet.fmt == rtcp.RTCP_RTPFB_NACK:
        return packet.lost
    return []


def is_keyframe_request(packet: Feedback) -> bool:
    return isinstance(packet, rtcp.RtcpPsfbPacket) and packet.fmt in (
        rtcp.RTCP_PSFB_PLI,
        rtcp.RTCP_PSFB_FIR,
    )


def pli(sender: int, media: int) -> bytes:
    """Picture loss indication: the publisher shall send a key frame."""
    return bytes(rtcp.RtcpPsfbPacket(rtcp.RTCP_PSFB_PLI, sender, media))


def nack(sender: int, media: int, sequences: Iterable[int]) -> bytes:
    return bytes(rtcp.RtcpRtpfbPacket(rtcp.RTCP_RTPFB_NACK, sender, media, sorted(sequences)))


def remb(sender: int, bitrate: int, ssrcs: Iterable[int]) -> bytes:
    """Receiver-estimated maximum bitrate: lets a publisher start above its cautious default."""
    return bytes(
        rtcp.RtcpPsfbPacket(rtcp.RTCP_PSFB_APP, sender, 0, rtcp.pack_remb_fci(bitrate, [*ssrcs]))
    )


def relayed_sender_report(
    ssrc: int, report: rtcp.RtcpSrPacket, timestamp: int, packets: int, octets: int, cname: str
) -> bytes:
    """A publisher's sender report under another SSRC: its clock stays, all else is ours."""
    counts = packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
    ours = rtcp.RtcpSenderInfo(report.sender_info.ntp_timestamp, timestamp, *counts)
    names = rtcp.RtcpSdesPacket([rtcp.RtcpSourceInfo(ssrc, [(_CNAME, cname.encode()[:255])])])
    return bytes(rtcp.RtcpSrPacket(ssrc, ours)) + bytes(names)
