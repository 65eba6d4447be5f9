"""What a subscriber gets of a publisher's packets, and what it is sent again."""

from __future__ import annotations

from aiortc import rtp as reference
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.sfu.media import (
    AV1,
    OPUS,
    VP8,
    VP9,
    feedback,
    make_track,
    nack,
    send,
    subscribe,
    vp8,
    vp9,
)
from tests.engine.sfu.test_dependencies import KEY
from utd_rx.engine.sfu import rtp
from utd_rx.engine.sfu.pictures import read_vp8
from utd_rx.engine.sfu.sdp import DEPENDENCY_EXTENSION, LEVEL_EXTENSION, MID_EXTENSION


def test_a_subscriber_gets_its_own_numbers_and_the_same_media() -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    send(track, 40000, timestamp=77, is_last=True)
    (header,) = sink.rtp
    assert (header.ssrc, header.payload_type, header.sequence, header.timestamp) == (
        5,
        109,
        1000,
        77,
    )
    assert sink.payloads() == [b"media"]
    assert sink.marks() == [True]


@given(st.integers(0, 0xFFFF), st.lists(st.integers(1, 200), max_size=60))
def test_sequence_differences_survive_any_start_and_wrap(start: int, steps: list[int]) -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    sequences = [start]
    for step in steps:
        sequences.append(sequences[-1] + step)
    for one in sequences:
        send(track, one & 0xFFFF)
    assert sink.sequences() == [(1000 + one - start) & 0xFFFF for one in sequences]


def test_known_extensions_are_renumbered_and_others_dropped() -> None:
    track, _ = make_track()
    _, sink = subscribe(track, extensions={MID_EXTENSION: 2, LEVEL_EXTENSION: 7})
    send(track, 1, extensions=[(1, b"\x85"), (3, b"tw"), (4, b"0")])
    assert sink.rtp[0].extensions == {2: b"3", 7: b"\x85"}


def test_a_publisher_that_changes_its_ssrc_goes_on_without_a_gap() -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    send(track, 10, timestamp=500)
    send(track, 50000, ssrc=10, timestamp=9, now=0.1)
    assert sink.sequences() == [1000, 1001]
    assert [one.timestamp for one in sink.rtp] == [500, 500 + OPUS.clock_rate // 10]


def test_a_discarded_subscription_gets_nothing_more() -> None:
    track, _ = make_track()
    subscription, sink = subscribe(track)
    track.discard(subscription)
    send(track, 1)
    assert sink.rtp == []


def test_sound_that_is_switched_off_leaves_no_gap() -> None:
    track, _ = make_track()
    subscription, sink = subscribe(track)
    send(track, 1)
    subscription.want(None, 0, 0.0)
    send(track, 2)
    subscription.want(0, 0, 0.0)
    send(track, 3)
    assert sink.sequences() == [1000, 1001]
    assert [one.timestamp for one in sink.rtp] == [960, 3 * 960]


def test_sender_reports_are_relayed_under_the_new_ssrc() -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    send(track, 1)
    info = reference.RtcpSenderInfo(ntp_timestamp=1, rtp_timestamp=2, packet_count=3, octet_count=4)
    track.on_sender_report(track.streams[0], reference.RtcpSrPacket(9, info), 0.0)
    report = reference.RtcpPacket.parse(sink.rtcp[0])[0]
    assert isinstance(report, reference.RtcpSrPacket)
    sent = report.sender_info
    assert (report.ssrc, sent.rtp_timestamp, sent.packet_count, sent.octet_count) == (5, 2, 1, 5)


def test_of_many_sender_reports_few_are_relayed() -> None:
    """One datagram holds fifty, and each would go to everybody."""
    track, _ = make_track()
    _, sink = subscribe(track)
    send(track, 1)
    for n in range(1000):
        report = reference.RtcpSrPacket(9, reference.RtcpSenderInfo(n, n, 1, 1))
        track.on_sender_report(track.streams[0], report, n / 1000)
    assert 5 <= len(sink.rtcp) <= 10


# -- video --------------------------------------------------------------------------------------


def test_video_begins_with_a_key_frame() -> None:
    track, _ = make_track(VP8)
    _, sink = subscribe(track)
    send(track, 1, vp8())
    send(track, 2, vp8(is_key=True))
    send(track, 3, vp8(begins=False))
    assert sink.sequences() == [1000, 1001]


def test_a_nack_is_answered_with_the_same_packet() -> None:
    track, _ = make_track(VP8)
    subscription, sink = subscribe(track)
    for sequence in (65534, 65535, 1):
        send(track, sequence, vp8(picture=sequence & 0xFF, is_key=True))
    subscription.on_feedback(nack(5, [1001, 1002]), 0.0)
    assert sink.sequences() == [1000, 1001, 1003, 1001]
    assert sink.packets[3] == sink.packets[1]
    send(track, 0, vp8(is_key=True))  # late: what the publisher was asked for
    assert sink.sequences()[4:] == [1002]
    subscription.on_feedback(nack(5, [1002]), 0.0)
    assert sink.packets[5] == sink.packets[4]


def test_what_can_be_sent_again_is_bounded() -> None:
    track, _ = make_track(VP8)
    subscription, sink = subscribe(track)
    for sequence in range(700):
        send(track, sequence, vp8(is_key=True))
    count = len(sink.packets)
    subscription.on_feedback(nack(5, [1000, 1099, 1100, 1699]), 0.0)
    assert sink.sequences()[count:] == [1100, 1699]


def test_packets_asked_for_again_and_again_go_out_once_a_round_trip_and_on_a_budget() -> None:
    track, _ = make_track(VP8)
    subscription, sink = subscribe(track)
    for sequence in range(600):
        send(track, sequence, vp8(is_key=True) + bytes(1000))
    count = len(sink.packets)
    for _ in range(300):
        subscription.on_feedback(nack(5, [*range(1000, 1017)]), 1.0)
    assert len(sink.packets) == count + 17
    subscription.on_feedback(nack(5, [*range(1000, 1017)]), 1.02)
    assert len(sink.packets) == count + 34
    for turn in range(1000):
        subscription.on_feedback(nack(5, [*range(1000, 1600)]), 2.0 + turn / 1000)
    again = sum(map(len, sink.packets[count:]))
    assert 400_000 < again < 600_000  # a burst, and a second's worth


def test_a_lost_picture_is_asked_for_in_the_layer_that_is_shown() -> None:
    track, publisher = make_track(VP8, ("q", "f"))
    subscription, _ = subscribe(track, wanted=0)
    for layer in range(2):
        send(track, 1, vp8(is_key=True), layer=layer)
    publisher.rtcp.clear()
    subscription.on_feedback(feedback(rtp.pli(1, 5)), 1.0)
    assert publisher.asked() == [("key", 9)]


def test_a_layer_that_does_not_start_is_asked_for_again() -> None:
    track, publisher = make_track(VP8)
    send(track, 1, vp8())
    subscribe(track)
    for step in range(1, 40):
        track.tick(step * 0.05)
    assert len(publisher.asked()) == 5  # at once, soon after, and each half second
    send(track, 2, vp8(is_key=True), now=2.0)
    track.tick(60.0)
    assert publisher.asked() == []


def counters(payload: bytes) -> tuple[int | None, int | None, int | None]:
    numbers = read_vp8(payload).vp8
    assert numbers is not None
    return numbers.picture_id, numbers.tl0_index, numbers.key_index


def test_another_simulcast_layer_goes_on_with_all_numbers() -> None:
    track, publisher = make_track(VP8, ("q", "h", "f"))
    subscription, sink = subscribe(track)
    for layer in (2, 1, 0):
        send(track, 100 * layer, vp8(is_key=True), layer=layer, timestamp=80_000)
    sink.packets.clear()
    send(track, 201, vp8(picture=7, tl0=9, key_index=1), layer=2, timestamp=90_000)
    publisher.rtcp.clear()
    subscription.want(0, 0, 1.0)
    assert publisher.asked() == [("key", 9)]
    send(track, 1, vp8(picture=300), timestamp=5_000)
    send(track, 202, vp8(picture=8, tl0=10, key_index=1), layer=2, timestamp=93_000)
    send(track, 2, vp8(picture=301, tl0=77, is_key=True), timestamp=8_000, now=0.1)
    send(track, 203, vp8(picture=9), layer=2)
    send(track, 3, vp8(picture=302, tl0=78), timestamp=11_000, now=0.2)
    first = sink.sequences()[0]
    assert sink.sequences() == [first, first + 1, first + 2, first + 3]
    assert [one.timestamp for one in sink.rtp] == [90_000, 93_000, 102_000, 105_000]
    assert [counters(one) for one in sink.payloads()] == [
        (7, 9, 1),
        (8, 10, 1),
        (9, 11, 2),
        (10, 12, 2),
    ]


def test_the_clocks_of_two_layers_are_brought_together() -> None:
    track, _ = make_track(VP8, ("q", "f"))
    subscription, sink = subscribe(track)
    for layer, stamp in ((0, 1_000), (1, 700_000)):
        info = reference.RtcpSenderInfo(50 << 32, stamp, 0, 0)
        send(track, 1, vp8(is_key=True), layer=layer, timestamp=stamp)
        report = reference.RtcpSrPacket(9 + layer, info)
        track.on_sender_report(track.streams[layer], report, 0.0)
    subscription.want(0, 0, 0.0)
    send(track, 2, vp8(is_key=True), timestamp=10_000, now=0.15)  # a tenth later, but slow
    before, after = (one.timestamp for one in sink.rtp[-2:])
    assert (after - before) & 0xFFFFFFFF == 9_000
    count = len(sink.rtcp)
    for layer in range(2):
        info = reference.RtcpSenderInfo(51 << 32, 91_000, 0, 0)
        report = reference.RtcpSrPacket(9 + layer, info)
        track.on_sender_report(track.streams[layer], report, 1.0)
    (relayed,) = sink.rtcp[count:]  # of the layer that is shown alone
    first = reference.RtcpPacket.parse(relayed)[0]
    assert isinstance(first, reference.RtcpSrPacket)
    assert first.sender_info.rtp_timestamp == after + 81_000


def test_a_layer_that_stops_is_replaced_by_a_lower_one() -> None:
    track, publisher = make_track(VP8, ("q", "f"))
    _, sink = subscribe(track)
    for layer in range(2):
        send(track, 1, vp8(is_key=True), layer=layer)
    publisher.rtcp.clear()
    send(track, 2, vp8(), now=1.5)
    track.tick(1.5)
    assert publisher.asked() == [("key", 9)]
    count = len(sink.packets)
    send(track, 3, vp8(is_key=True), now=1.6)
    assert len(sink.packets) == count + 1


def test_switched_off_nothing_is_sent_and_on_again_a_key_frame_first() -> None:
    track, publisher = make_track(VP8)
    subscription, sink = subscribe(track)
    send(track, 1, vp8(picture=1, is_key=True), timestamp=0)
    subscription.want(None, 0, 0.0)
    send(track, 2, vp8(picture=2), timestamp=3_000)
    publisher.rtcp.clear()
    track.tick(5.0)
    assert publisher.asked() == []
    subscription.want(2, 0, 5.0)
    assert publisher.asked() == [("key", 9)]
    send(track, 3, vp8(picture=3), timestamp=6_000)
    send(track, 4, vp8(picture=4, is_key=True), timestamp=9_000)
    assert sink.sequences() == [1000, 1001]
    assert [one.timestamp for one in sink.rtp] == [0, 9_000]
    assert [counters(one)[0] for one in sink.payloads()] == [1, 2]


def test_of_a_scalable_stream_the_upper_layers_are_left_out() -> None:
    track, _ = make_track(VP9)
    subscription, sink = subscribe(track, wanted=0)
    sequence = 0
    for number in range(3):
        for spatial in range(3):
            sequence += 1
            one = vp9(spatial=spatial, is_key=number == 0)
            send(track, sequence, one, timestamp=number * 3_000, is_last=spatial == 2)
        subscription.want(1, 0, 0.0)
    assert sink.sequences() == [1000, 1001, 1002]
    assert sink.marks() == [True] * 3  # the picture ends there for who gets it


def test_a_late_packet_that_is_left_out_is_filled_for_nobody_to_wait() -> None:
    track, _ = make_track(VP9)
    subscription, sink = subscribe(track, wanted=0)
    send(track, 1, vp9(is_key=True), timestamp=0)
    send(track, 3, vp9(), timestamp=3_000)
    send(track, 2, vp9(spatial=1, is_key=True), timestamp=0)
    assert sink.sequences() == [1000, 1002, 1001]
    assert sink.payloads()[2] == b""
    subscription.on_feedback(nack(5, [1001]), 0.0)
    assert sink.packets[3] == sink.packets[2]


def test_padding_is_left_out() -> None:
    track, _ = make_track(VP8)
    _, sink = subscribe(track)
    send(track, 1, vp8(is_key=True))
    send(track, 2, b"")
    send(track, 3, vp8())
    assert sink.sequences() == [1000, 1001]


def test_layers_of_av1_are_told_by_their_descriptor_which_goes_along() -> None:
    track, _ = make_track(AV1)
    _, sink = subscribe(track, wanted=1, extensions={MID_EXTENSION: 2, DEPENDENCY_EXTENSION: 9})
    for sequence, descriptor in enumerate((KEY, b"\xc5\x00\x02", b"\xca\x00\x03"), 1):
        is_last = sequence == 3
        send(track, sequence, b"av1", timestamp=7, extensions=[(12, descriptor)], is_last=is_last)
    assert [one.extensions for one in sink.rtp] == [
        {2: b"3", 9: KEY},
        {2: b"3", 9: b"\xc5\x00\x02"},
    ]
    assert sink.marks() == [False, True]


def test_fewer_pictures_are_whole_temporal_layers_of_vp8() -> None:
    track, _ = make_track(VP8)
    subscription, sink = subscribe(track)
    for n in range(80):
        one = vp8(picture=n, temporal=(0, 2, 1, 2)[n % 4], is_key=n == 0, tl0=n // 4)
        send(track, n, one, timestamp=3_000 * n, now=n / 30)
        track.tick(n / 30)
        if n == 39:
            subscription.want(2, 15, n / 30)
            sink.packets.clear()
    assert [read_vp8(one).temporal for one in sink.payloads()] == [0, 1] * 10
    pictures = [counters(one)[0] for one in sink.payloads()]
    assert pictures == list(range(40, 60))
    assert sink.sequences() == list(range(1040, 1060))
