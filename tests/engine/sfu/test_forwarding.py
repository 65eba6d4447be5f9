"""Forwarding: what a subscriber gets of a publisher's packets, and what the publisher is asked."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from aiortc import rtp as reference
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.engine.sfu import rtp
from utd_rx.engine.sfu.forwarding import InboundTrack, OutboundTrack, ReceiveStatistics
from utd_rx.engine.sfu.sdp import (
    LEVEL_EXTENSION,
    MID_EXTENSION,
    ORIENTATION_EXTENSION,
    RID_EXTENSION,
    Codec,
)

OPUS = Codec(111, "opus", 48000, 2)
VP8 = Codec(96, "vp8", 90000)


class Sink:
    def __init__(self) -> None:
        self.rtp: list[rtp.RtpHeader] = []
        self.packets: list[bytes] = []
        self.rtcp: list[bytes] = []

    def send_rtp(self, packet: bytes) -> None:
        header = rtp.parse_rtp(packet)
        assert header is not None
        self.rtp.append(header)
        self.packets.append(packet)

    def send_rtcp(self, packet: bytes) -> None:
        self.rtcp.append(packet)

    def forget(self, ssrc: int) -> None:
        """Nothing to forget."""

    def sequences(self) -> list[int]:
        return [one.sequence for one in self.rtp]


def make_track(codec: Codec = OPUS, rid: str | None = None) -> tuple[InboundTrack, Sink]:
    publisher = Sink()
    extensions = {MID_EXTENSION: 4, LEVEL_EXTENSION: 1, RID_EXTENSION: 10}
    extensions |= {ORIENTATION_EXTENSION: 13}
    track = InboundTrack(publisher, codec, extensions, is_video=codec is VP8, rid=rid)
    return track, publisher


def subscribe(
    track: InboundTrack, ssrc: int = 5, extensions: Mapping[str, int] | None = None
) -> tuple[OutboundTrack, Sink]:
    sink = Sink()
    subscription = OutboundTrack(
        track,
        sink,
        ssrc=ssrc,
        payload_type=109,
        extensions={} if extensions is None else extensions,
        mid="3",
        cname="PA_x",
    )
    track.add(subscription, 0.0)
    return subscription, sink


def send(
    track: InboundTrack,
    sequence: int,
    *,
    now: float = 0.0,
    ssrc: int = 9,
    timestamp: int | None = None,
    extensions: bytes = b"",
    payload_type: int | None = None,
) -> None:
    kind = track.codec.payload_type if payload_type is None else payload_type
    first = 0x90 if extensions else 0x80
    stamp = (sequence * 960 if timestamp is None else timestamp) & 0xFFFFFFFF
    data = struct.pack("!BBHII", first, kind, sequence, stamp, ssrc)
    if extensions:
        padded = extensions + bytes(-len(extensions) % 4)
        data += struct.pack("!HH", 0xBEDE, len(padded) // 4) + padded
    data += b"media"
    header = rtp.parse_rtp(data)
    assert header is not None
    track.on_rtp(data, header, now)


def test_a_subscriber_gets_its_own_numbers_and_the_same_media() -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    send(track, 40000, timestamp=77)
    (header,) = sink.rtp
    assert (header.ssrc, header.payload_type, header.sequence, header.timestamp) == (
        5,
        109,
        1000,
        77,
    )
    assert sink.packets[0].endswith(b"media")


@given(st.integers(0, 0xFFFF), st.lists(st.integers(-20, 200), max_size=60))
def test_sequence_differences_survive_any_start_and_wrap(start: int, steps: list[int]) -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    sequences = [start]
    for step in steps:
        sequences.append((sequences[-1] + step) & 0xFFFF)
    for one in sequences:
        send(track, one)
    assert sink.sequences() == [(1000 + one - start) & 0xFFFF for one in sequences]


def test_only_the_negotiated_payload_type_is_forwarded() -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    send(track, 1, payload_type=13)
    assert sink.rtp == []
    assert track.ssrc is None


def test_known_extensions_are_renumbered_and_others_dropped() -> None:
    track, _ = make_track()
    wanted = {MID_EXTENSION: 2, LEVEL_EXTENSION: 7}
    _, sink = subscribe(track, extensions=wanted)
    block = rtp.extension_element(1, b"\x85") + rtp.extension_element(3, b"tw")
    send(track, 1, extensions=block + rtp.extension_element(4, b"0"))
    assert sink.rtp[0].extensions == {2: b"3", 7: b"\x85"}


def test_a_publisher_that_changes_its_ssrc_goes_on_without_a_gap() -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    send(track, 10)
    send(track, 50000, ssrc=10)
    assert sink.sequences() == [1000, 1001]


def test_a_discarded_subscription_gets_nothing_more() -> None:
    track, _ = make_track()
    subscription, sink = subscribe(track)
    track.discard(subscription)
    send(track, 1)
    assert sink.rtp == []


def feedback(data: bytes) -> rtp.Feedback:
    (one,) = rtp.parse_rtcp(data)
    assert isinstance(one, rtp.Feedback)
    return one


def nack(ssrc: int, lost: list[int]) -> rtp.Feedback:
    return feedback(rtp.nack(1, ssrc, lost))


def test_a_nack_is_answered_from_the_cache_and_the_rest_asked_of_the_publisher() -> None:
    track, publisher = make_track(VP8)
    subscription, sink = subscribe(track)
    for sequence in (65534, 65535, 1):
        send(track, sequence)
    publisher.rtcp.clear()
    subscription.on_feedback(nack(5, [1001, 1002]), 0.0)
    assert sink.sequences() == [1000, 1001, 1003, 1001]
    assert sink.packets[3] == sink.packets[1]
    (asked,) = publisher.rtcp
    assert rtp.nacked_sequences(feedback(asked)) == [0]


def test_the_cache_is_bounded() -> None:
    track, publisher = make_track(VP8)
    subscription, sink = subscribe(track)
    for sequence in range(700):
        send(track, sequence)
    count = len(sink.rtp)
    publisher.rtcp.clear()
    subscription.on_feedback(nack(5, [1000, 1099, 1100, 1699]), 0.0)
    assert sink.sequences()[count:] == [1100, 1699]


def plis(sink: Sink) -> int:
    return sum(rtp.is_keyframe_request(feedback(data)) for data in sink.rtcp)


def test_key_frames_are_asked_for_at_most_four_times_a_second_and_none_is_forgotten() -> None:
    track, publisher = make_track(VP8)
    send(track, 1)
    subscription, _ = subscribe(track)
    assert plis(publisher) == 1
    pli = feedback(rtp.pli(1, 5))
    for step in range(10):
        subscription.on_feedback(pli, step * 0.01)
    assert plis(publisher) == 1
    for step in range(100):
        track.tick(step * 0.01)
    assert plis(publisher) == 2


def test_audio_never_asks_for_key_frames() -> None:
    track, publisher = make_track()
    send(track, 1)
    subscribe(track)
    track.tick(10.0)
    assert publisher.rtcp == []


def test_sender_reports_are_relayed_under_the_new_ssrc() -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    send(track, 1)
    info = reference.RtcpSenderInfo(ntp_timestamp=1, rtp_timestamp=2, packet_count=3, octet_count=4)
    track.on_sender_report(reference.RtcpSrPacket(ssrc=9, sender_info=info), 0.0)
    report = reference.RtcpPacket.parse(sink.rtcp[0])[0]
    assert isinstance(report, reference.RtcpSrPacket)
    assert (report.ssrc, report.sender_info.packet_count, report.sender_info.octet_count) == (
        5,
        1,
        5,
    )


def test_only_the_chosen_simulcast_layer_matches() -> None:
    track, _ = make_track(VP8, rid="f")
    base = rtp.RtpHeader(96, 1, 1, 1, {10: b"f"}, 12)
    assert track.matches(base)
    assert not track.matches(base._replace(extensions={10: b"q"}))
    assert not track.matches(base._replace(extensions={}))
    assert not track.matches(base._replace(payload_type=97))


def test_statistics_count_losses_over_a_wrap() -> None:
    statistics = ReceiveStatistics()
    assert statistics.block(9, 0.0) is None
    for sequence in (65534, 65535, 1, 2):
        statistics.on_packet(sequence)
    info = reference.RtcpSenderInfo(0x1111222233334444, 0, 0, 0)
    statistics.on_sender_report(reference.RtcpSrPacket(9, info), 10.0)
    report = statistics.block(9, 12.0)
    assert report is not None
    assert (report.packets_lost, report.fraction_lost) == (1, 256 // 5)
    assert report.highest_sequence == 65536 + 2
    assert (report.lsr, report.dlsr) == (0x22223333, 2 * 65536)
    statistics.on_packet(3)
    again = statistics.block(9, 13.0)
    assert again is not None
    assert (again.packets_lost, again.fraction_lost) == (1, 0)


def test_a_report_goes_to_the_publisher_with_a_bandwidth_for_video() -> None:
    track, publisher = make_track(VP8)
    track.report(0.0)
    assert publisher.rtcp == []
    send(track, 1)
    track.report(1.0)
    kinds = [type(packet) for packet in rtp.parse_rtcp(publisher.rtcp[-1])]
    assert kinds == [reference.RtcpRrPacket, reference.RtcpPsfbPacket]


def test_levels_in_packets_become_speech() -> None:
    track, _ = make_track()
    for n in range(60):
        send(track, n, now=n * 0.02, extensions=rtp.extension_element(1, bytes([20])))
    assert track.meter.level(1.2) > 0
