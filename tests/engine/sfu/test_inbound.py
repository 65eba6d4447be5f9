"""The publisher's half: what it is asked for, and which layers are seen to arrive."""

from __future__ import annotations

import pytest
from aiortc import rtp as reference

from tests.engine.sfu.media import AV1, VP8, VP9, Sink, make_track, send, subscribe, vp8, vp9
from tests.engine.sfu.test_dependencies import KEY
from utd_rx.engine.sfu import rtp
from utd_rx.engine.sfu.inbound import InboundTrack


def test_only_the_negotiated_payload_type_is_forwarded() -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    send(track, 1, payload_type=13)
    assert sink.rtp == []
    assert track.streams[0].ssrc is None


def test_a_key_frame_serves_whoever_asked_before_it_came() -> None:
    track, publisher = make_track(VP8)
    send(track, 1, vp8())
    for now in (0.0, 0.1):
        track.request_keyframe(0, now)
    send(track, 2, vp8(is_key=True), now=0.2)
    track.tick(1.0)
    assert publisher.asked() == [("key", 9)]


def test_key_frames_are_asked_for_at_most_four_times_a_second_and_none_is_forgotten() -> None:
    track, publisher = make_track(VP8)
    send(track, 1, vp8())
    for step in range(10):
        track.request_keyframe(0, step * 0.01)
    assert publisher.asked() == [("key", 9)]
    for step in range(100):
        track.tick(step * 0.01)
    assert publisher.asked() == [("key", 9)]


def test_a_key_frame_is_asked_of_the_layer_that_needs_one() -> None:
    track, publisher = make_track(VP8, ("q", "h", "f"))
    for layer in range(3):
        send(track, 1, vp8(), layer=layer)
    track.request_keyframe(1, 0.0)
    assert publisher.asked() == [("key", 10)]
    track.request_keyframe(7, 0.0)
    assert publisher.asked() == [("key", 11)]


def test_audio_asks_for_nothing() -> None:
    track, publisher = make_track()
    send(track, 1)
    send(track, 5)
    subscribe(track)
    track.request_keyframe(0, 0.0)
    track.tick(10.0)
    assert publisher.rtcp == []


def test_lost_video_is_asked_for_until_it_comes() -> None:
    track, publisher = make_track(VP8)
    for sequence in (65534, 1):
        send(track, sequence, vp8())
    assert publisher.asked() == [("lost", 0), ("lost", 65535)]
    track.tick(0.05)
    assert publisher.asked() == [("lost", 0), ("lost", 65535)]
    for sequence in (65535, 0):
        send(track, sequence, vp8())
    track.tick(0.5)
    assert publisher.asked() == []


def test_after_an_outage_a_key_frame_is_asked_for() -> None:
    track, publisher = make_track(VP8)
    send(track, 1, vp8())
    send(track, 1000, vp8())
    assert publisher.asked() == [("key", 9)]


def test_a_report_goes_to_the_publisher_with_a_bandwidth_for_video() -> None:
    track, publisher = make_track(VP8, ("q", "f"))
    track.report(0.0)
    assert publisher.rtcp == []
    send(track, 1, vp8(), layer=1)
    track.report(1.0)
    (compound,) = publisher.rtcp
    kinds = [type(packet) for packet in rtp.parse_rtcp(compound)]
    assert kinds == [reference.RtcpRrPacket, reference.RtcpPsfbPacket]


def test_the_worst_layer_is_the_loss_of_a_track() -> None:
    track, _ = make_track(VP8, ("q", "f"))
    for sequence in (1, 2, 3, 4):
        send(track, sequence, vp8())
    for sequence in (1, 4):
        send(track, sequence, vp8(), layer=1)
    track.report(1.0)
    assert track.loss() == 0.5


def test_levels_in_packets_become_speech() -> None:
    track, _ = make_track()
    for n in range(60):
        send(track, n, now=n * 0.02, extensions=[(1, bytes([20]))])
    assert track.meter.level(1.2) > 0


def simulcast() -> tuple[InboundTrack, Sink]:
    return make_track(VP8, ("q", "h", "f"))


def test_a_layer_that_stops_while_others_go_on_is_gone_and_comes_back() -> None:
    track, _ = simulcast()
    for layer in range(3):
        send(track, 1, vp8(), layer=layer)
    assert track.layers == {0, 1, 2}
    for n in range(2, 20):
        for layer in range(2):
            send(track, n, vp8(), layer=layer, now=n * 0.1)
        track.tick(n * 0.1)
    assert track.layers == {0, 1}
    send(track, 2, vp8(), layer=2, now=2.0)
    assert track.layers == {0, 1, 2}


def test_layers_that_all_rest_are_not_gone() -> None:
    """Of a still screen nothing comes for seconds."""
    track, _ = simulcast()
    for layer in range(3):
        send(track, 1, vp8(), layer=layer)
    track.tick(60.0)
    assert track.layers == {0, 1, 2}


def test_layers_in_a_stream_are_seen_by_what_it_says() -> None:
    track, _ = make_track(VP9)
    for spatial in range(2):
        send(track, spatial, vp9(spatial=spatial, is_key=True))
    assert track.layers == {0, 1}
    track, _ = make_track(AV1)
    send(track, 1, b"\x28\x1d", timestamp=7, extensions=[(12, KEY)])
    send(track, 2, b"\x10\x34", timestamp=7, extensions=[(12, bytes.fromhex("c50002"))])
    assert track.layers == {0, 1}


@pytest.mark.parametrize("rids", [(), ("q", "f")])
def test_padding_is_no_layer(rids: tuple[str, ...]) -> None:
    """It probes the bandwidth, on layers that are not sent, too."""
    track, _ = make_track(VP8, rids)
    send(track, 1, b"")
    assert track.layers == set()


def test_nothing_of_a_muted_track_is_passed_on_and_its_numbers_go_on_without_a_gap() -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    send(track, 1)
    track.mute(True, 0.0)
    for sequence in range(2, 52):
        send(track, sequence)
    assert len(sink.rtp) == 1
    track.mute(False, 1.0)
    send(track, 52)
    first, second = sink.sequences()
    assert second == (first + 1) & 0xFFFF


def test_a_video_that_is_unmuted_begins_with_a_key_frame() -> None:
    track, publisher = make_track(VP8)
    _, sink = subscribe(track)
    send(track, 1, vp8(is_key=True))
    track.mute(True, 0.0)
    send(track, 2, vp8(is_key=True))
    publisher.asked()
    track.mute(False, 1.0)
    assert publisher.asked() == [("key", 9)]
    send(track, 3, vp8())
    assert len(sink.rtp) == 1
    send(track, 4, vp8(is_key=True))
    first, second = sink.sequences()
    assert second == (first + 1) & 0xFFFF


def test_an_audio_level_without_a_value_is_none() -> None:
    track, _ = make_track()
    _, sink = subscribe(track)
    for number in (7, 8):  # a level counts from the second on
        header = rtp.RtpHeader(111, number, 960 * number, 9, {1: b""}, 12)
        track.on_rtp(track.streams[0], bytes(12) + b"sound", header, 0.0)
    assert len(sink.rtp) == 2
    assert track.meter.level(0.0) == 0.0
