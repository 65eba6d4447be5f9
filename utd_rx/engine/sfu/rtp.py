"""RTP headers, read and rewritten, and the RTCP of a forwarder. Pure, no payload knowledge.

RTP is RFC 3550, with RFC 8285's one-byte header extensions; the answer allows no other. RTCP is
aiortc's: RFC 4585 (PLI, NACK), RFC 5104 (FIR), draft-alvestrand-rmcat-remb-03.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from aiortc import rtp as rtcp

_FIXED: Final = struct.Struct("!BBHII")
_EXTENSION: Final = struct.Struct("!HH")
_ONE_BYTE_PROFILE: Final = 0xBEDE
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
    """The same packet under other numbers, without CSRCs, and with these `extension_element`s."""
    first = 0x80 | (packet[0] & 0x20) | (0x10 if extensions else 0)
    second = (packet[1] & 0x80) | payload_type
    fixed = _FIXED.pack(first, second, sequence, header.timestamp, ssrc)
    body = packet[header.body_offset :]
    if not extensions:
        return fixed + body
    padded = extensions + bytes(-len(extensions) % 4)
    return b"".join((fixed, _EXTENSION.pack(_ONE_BYTE_PROFILE, len(padded) // 4), padded, body))


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
    ssrc: int, report: rtcp.RtcpSrPacket, packets: int, octets: int, cname: str
) -> bytes:
    """A publisher's sender report under another SSRC: its clock pair stays, counts are ours."""
    info = report.sender_info
    counts = packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
    ours = rtcp.RtcpSenderInfo(info.ntp_timestamp, info.rtp_timestamp, *counts)
    names = rtcp.RtcpSdesPacket([rtcp.RtcpSourceInfo(ssrc, [(_CNAME, cname.encode()[:255])])])
    return bytes(rtcp.RtcpSrPacket(ssrc, ours)) + bytes(names)
