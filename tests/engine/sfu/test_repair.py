"""What a receiver of one stream counts, and what it asks for again. Time is an argument."""

from __future__ import annotations

from aiortc import rtp as reference

from utd_rx.engine.sfu.repair import MissingPackets, ReceiveStatistics


def test_statistics_count_losses_over_a_wrap() -> None:
    statistics = ReceiveStatistics()
    assert statistics.block(9, 0.0) is None
    steps = [statistics.on_packet(one) for one in (65534, 65535, 1, 2)]
    assert steps == [1, 1, 2, 1]
    info = reference.RtcpSenderInfo(0x1111222233334444, 0, 0, 0)
    statistics.on_sender_report(reference.RtcpSrPacket(9, info), 10.0)
    report = statistics.block(9, 12.0)
    assert report is not None
    assert (report.packets_lost, report.fraction_lost) == (1, 256 // 5)
    assert report.highest_sequence == 65536 + 2
    assert (report.lsr, report.dlsr) == (0x22223333, 2 * 65536)
    assert [statistics.on_packet(one) for one in (3, 0, 3)] == [1, 0, 0]
    again = statistics.block(9, 13.0)
    assert again is not None
    assert (again.packets_lost, again.fraction_lost) == (-1, 0)


def test_a_missing_packet_is_asked_for_at_once_and_until_it_comes() -> None:
    missing = MissingPackets()
    assert missing.on_packet(65534, 1, 0.0) == []
    assert missing.on_packet(1, 3, 0.0) == [65535, 0]
    assert missing.due(0.04) == []
    assert missing.due(0.05) == [65535, 0]
    assert missing.on_packet(65535, 0, 0.06) == []
    assert missing.due(0.1) == [0]
    missing.on_packet(0, 0, 0.11)
    assert missing.due(1.0) == []


def test_what_never_comes_is_given_up() -> None:
    missing = MissingPackets()
    missing.on_packet(2, 2, 0.0)
    asked = [missing.due(1.0 + n) for n in range(20)]
    assert asked == [[1]] * 7 + [[]] * 13


def test_after_an_outage_only_a_key_frame_helps() -> None:
    missing = MissingPackets()
    missing.on_packet(2, 2, 0.0)
    assert missing.on_packet(500, 498, 0.0) is None
    assert missing.due(1.0) == []
    for n in range(3):
        assert missing.on_packet(600 + 100 * n, 100, 0.0) is not None
    assert missing.on_packet(900, 100, 0.0) is None
