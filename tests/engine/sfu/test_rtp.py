"""RTP and RTCP as bytes: what is read, what is written, and that garbage is survived."""

from __future__ import annotations

import struct

import pytest
from aiortc import rtp as reference
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.engine.sfu import rtp


def packet(
    *, sequence: int = 1, extensions: bytes = b"", payload: bytes = b"payload", csrcs: int = 0
) -> bytes:
    first = 0x80 | csrcs | (0x10 if extensions else 0)
    head = struct.pack("!BBHII", first, 0x80 | 111, sequence, 1234, 99) + bytes(4 * csrcs)
    if extensions:
        padded = extensions + bytes(-len(extensions) % 4)
        head += struct.pack("!HH", 0xBEDE, len(padded) // 4) + padded
    return head + payload


def test_a_header_is_walked_past_csrcs_and_extensions() -> None:
    data = packet(extensions=bytes([0x10, 0x85, 0, 0x41, 65, 66]), csrcs=2)
    header = rtp.parse_rtp(data)
    assert header is not None
    assert (header.payload_type, header.sequence, header.timestamp, header.ssrc) == (
        111,
        1,
        1234,
        99,
    )
    assert header.extensions == {1: b"\x85", 4: b"AB"}
    assert data[header.body_offset :] == b"payload"
    assert header.extensions[1][0] & 0x7F == 5


def test_an_element_of_id_0_with_a_length_ends_the_extensions() -> None:
    """RFC 8285, 4.2: id 0 is padding, and one byte long; nothing behind another counts."""
    header = rtp.parse_rtp(packet(extensions=bytes([0, 0x10, 0x85, 0x01, 48, 49, 0x41, 65, 66])))
    assert header is not None
    assert header.extensions == {1: b"\x85"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(11),
        b"\x00" * 12,
        b"\x9f" + bytes(11),
        b"\x90" + bytes(11),
        b"\x90" + bytes(13) + b"\xff\xff",
    ],
)
def test_what_is_cut_short_is_no_packet(data: bytes) -> None:
    assert rtp.parse_rtp(data) is None


@given(st.binary(max_size=120) | st.binary(max_size=120).map(lambda b: b"\x9f\xef" + b))
def test_any_bytes_are_walked_without_an_exception(data: bytes) -> None:
    header = rtp.parse_rtp(data)
    if header is not None:
        assert header.body_offset <= len(data)
    for one in rtp.parse_rtcp(data):
        if isinstance(one, rtp.Feedback):
            rtp.media_ssrcs(one)
            rtp.nacked_sequences(one)


@given(
    st.binary(max_size=60),
    st.lists(st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=40)), max_size=4),
    st.integers(0, 0xFFFF),
    st.booleans(),
)
def test_what_is_written_is_read_the_same(
    payload: bytes, elements: list[tuple[int, bytes]], sequence: int, is_last: bool
) -> None:
    """With an extension of more than 16 bytes, too: all are written in the long form then."""
    out = write(payload, elements, sequence, is_last)
    again = reference.RtpPacket.parse(out)
    assert (again.ssrc, again.payload_type, again.sequence_number) == (5, 109, sequence)
    assert (again.timestamp, again.marker, again.payload) == (1234, int(is_last), payload)
    parsed = rtp.parse_rtp(out)
    assert parsed is not None
    assert parsed.extensions == dict(elements)
    assert rtp.is_marked(out) == is_last
    assert rtp.payload(out, parsed) == payload


def write(
    payload: bytes, elements: list[tuple[int, bytes]], sequence: int = 1, is_last: bool = False
) -> bytes:
    return rtp.write_rtp(
        payload_type=109,
        sequence=sequence,
        timestamp=1234,
        ssrc=5,
        is_last=is_last,
        extensions=rtp.extension_block(*elements),
        payload=payload,
    )


def test_an_extension_that_has_no_number_is_left_out() -> None:
    parsed = rtp.parse_rtp(write(b"", [(0, b"x"), (15, b"y"), (3, b"z")]))
    assert parsed is not None
    assert parsed.extensions == {3: b"z"}


def test_a_long_element_that_is_cut_short_ends_the_extensions() -> None:
    head = struct.pack("!BBHII", 0x90, 111, 1, 1234, 99) + struct.pack("!HH", 0x1000, 2)
    parsed = rtp.parse_rtp(head + bytes([0, 1, 1, 0x85, 2, 9, 65, 66]))
    assert parsed is not None
    assert parsed.extensions == {1: b"\x85"}


@pytest.mark.parametrize("padding", [1, 3, 7, 200])
def test_padding_is_no_payload(padding: int) -> None:
    filler = bytes(max(0, min(padding, 7) - 1))
    data = bytes([0xA0]) + packet(payload=b"abcdefg"[: 7 - min(padding, 7)])[1:]
    data += filler + bytes([padding])
    header = rtp.parse_rtp(data)
    assert header is not None
    assert rtp.payload(data, header) == b"abcdefg"[: 7 - min(padding, 7)]


def test_what_is_asked_of_a_publisher() -> None:
    (pli,) = rtp.parse_rtcp(rtp.pli(1, 2))
    assert pli == reference.RtcpPsfbPacket(fmt=1, ssrc=1, media_ssrc=2)
    assert rtp.is_keyframe_request(pli)
    (nack,) = rtp.parse_rtcp(rtp.nack(1, 2, [65535, 7]))
    assert isinstance(nack, reference.RtcpRtpfbPacket)
    assert rtp.nacked_sequences(nack) == [7, 65535]
    (remb,) = rtp.parse_rtcp(rtp.remb(1, 4_000_000, [2]))
    assert isinstance(remb, reference.RtcpPsfbPacket)
    bitrate, ssrcs = reference.unpack_remb_fci(remb.fci)
    assert abs(bitrate - 4_000_000) < 64
    assert ssrcs == [2]
    assert not rtp.is_keyframe_request(remb)


@given(st.sets(st.integers(0, 65535), min_size=1, max_size=40))
def test_every_sequence_number_survives_a_nack(lost: set[int]) -> None:
    (one,) = rtp.parse_rtcp(rtp.nack(1, 2, lost))
    assert isinstance(one, reference.RtcpRtpfbPacket)
    assert rtp.media_ssrcs(one) == (2,)
    assert rtp.nacked_sequences(one) == sorted(lost)


def test_fir_names_its_streams() -> None:
    fir = struct.pack("!BBHIIIIII", 0x84, 206, 6, 1, 0, 77, 1 << 24, 88, 0)
    (one,) = rtp.parse_rtcp(fir)
    assert isinstance(one, reference.RtcpPsfbPacket)
    assert rtp.media_ssrcs(one) == (77, 88)
    assert rtp.is_keyframe_request(one)


def test_a_compound_that_is_malformed_is_dropped() -> None:
    assert rtp.parse_rtcp(rtp.pli(1, 2) + b"\x81") == []
    assert rtp.parse_rtcp(b"\x80\xc8\x00\x01" + bytes(4)) == []


def test_a_relayed_sender_report_keeps_the_wall_clock() -> None:
    info = reference.RtcpSenderInfo(
        ntp_timestamp=123456789, rtp_timestamp=987, packet_count=5, octet_count=6
    )
    original = reference.RtcpSrPacket(ssrc=1, sender_info=info)
    report, names = rtp.parse_rtcp(rtp.relayed_sender_report(42, original, 555, 10, 20, "PA_x"))
    assert isinstance(report, reference.RtcpSrPacket)
    assert isinstance(names, reference.RtcpSdesPacket)
    assert report.ssrc == names.chunks[0].ssrc == 42
    assert report.sender_info.ntp_timestamp == 123456789
    assert (report.sender_info.rtp_timestamp, report.sender_info.packet_count) == (555, 10)
    assert names.chunks[0].items == [(1, b"PA_x")]
