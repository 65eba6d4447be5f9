"""Statistics: what follows from two looks, and what they say of media whose rate is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.rtc._proto import stats_pb2

from tests.rtc.bench import PATIENCE, Party, Tone, raises
from utd_rx.engine.sfu.udp_mux import UdpMux
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.participant import TrackSource
from utd_rx.models.statistics import RoomStatistics, TrackDirection, TrackStatistics
from utd_rx.models.video import VideoFormat
from utd_rx.rtc import statistics
from utd_rx.rtc.local_track import bit_rate
from utd_rx.rtc.room import UTDRoom
from utd_rx.rtc.statistics import Rates, Statistics, rates, round_trip, sample
from utd_rx.video import TestPattern

SENT, RECEIVED = TrackDirection.SENT, TrackDirection.RECEIVED


def outbound(ssrc: int, packets: int, size: int, *, at: float = 1.0) -> stats_pb2.RtcStats:
    stats = stats_pb2.RtcStats()
    one = stats.outbound_rtp
    one.rtc.timestamp = int(at * 1e6)
    one.stream.ssrc, one.sent.packets_sent, one.sent.bytes_sent = ssrc, packets, size
    return stats


def inbound(
    ssrc: int, packets: int, size: int, lost: int = 0, *, at: float = 1.0, jitter: float = 0.0
) -> stats_pb2.RtcStats:
    stats = stats_pb2.RtcStats()
    one = stats.inbound_rtp
    one.rtc.timestamp = int(at * 1e6)
    one.stream.ssrc, one.inbound.bytes_received = ssrc, size
    one.received.packets_received, one.received.packets_lost = packets, lost
    one.received.jitter = jitter
    return stats


def report(loss: float, jitter: float, trip: float | None) -> stats_pb2.RtcStats:
    stats = stats_pb2.RtcStats()
    one = stats.remote_inbound_rtp
    one.received.jitter, one.remote_inbound.fraction_lost = jitter, loss
    if trip is not None:
        one.remote_inbound.round_trip_time = trip
        one.remote_inbound.round_trip_time_measurements = 1
    return stats


def pair(number: str, trip: float, *, responses: int = 1) -> stats_pb2.RtcStats:
    stats = stats_pb2.RtcStats()
    one = stats.candidate_pair
    one.rtc.id, one.candidate_pair.current_round_trip_time = number, trip
    one.candidate_pair.responses_received = responses
    return stats


def transport(used: str) -> stats_pb2.RtcStats:
    stats = stats_pb2.RtcStats()
    stats.transport.transport.selected_candidate_pair_id = used
    return stats


class TestSamples:
    def test_of_layers_the_sum_counts_and_of_what_is_measured_the_worst(self) -> None:
        found = sample(
            [outbound(1, 10, 1_000), outbound(2, 20, 4_000), report(0.0, 0.002, 0.03),
             report(0.25, 0.001, 0.02)], SENT,
        )  # fmt: skip
        assert (found.round_trip, found.jitter, found.lost) == (0.03, 0.002, 0.25)
        before = sample([outbound(1, 0, 0, at=0.0), outbound(2, 0, 0, at=0.0)], SENT)
        assert rates(found, before) == Rates(8 * 5_000, 0.0)

    def test_what_nobody_reported_is_not_known(self) -> None:
        found = sample([outbound(1, 10, 1_000)], SENT)
        assert (found.round_trip, found.jitter, found.lost) == (None, None, None)
        assert sample([outbound(1, 10, 1_000), report(0.0, 0.0, None)], SENT).round_trip is None
        assert sample([inbound(1, 0, 0)], RECEIVED).jitter is None
        assert sample([inbound(1, 5, 50, jitter=0.01)], RECEIVED).jitter == 0.01

    @pytest.mark.parametrize(
        ("lost", "packets", "share"),
        [(0, 100, 0.0), (25, 75, 0.25), (100, 0, 1.0), (-3, 50, 0.0), (0, 0, None)],
    )
    def test_loss_is_what_is_missing_of_what_was_expected_in_between(
        self, lost: int, packets: int, share: float | None
    ) -> None:
        before = sample([inbound(1, 1_000, 50_000, 10, at=1.0)], RECEIVED)
        now = sample([inbound(1, 1_000 + packets, 50_000, 10 + lost, at=2.0)], RECEIVED)
        assert rates(now, before).loss == share

    def test_what_left_the_jitter_buffer_has_waited_in_it_so_long_on_average(self) -> None:
        def heard(emitted: int, waited: float) -> stats_pb2.RtcStats:
            stats = inbound(1, 1_000, 50_000)
            one = stats.inbound_rtp.inbound
            one.jitter_buffer_emitted_count, one.jitter_buffer_delay = emitted, waited
            return stats

        before = sample([heard(48_000, 960.0)], RECEIVED)
        now = sample([heard(96_000, 3_360.0)], RECEIVED)
        assert rates(now, before).buffered == 0.05
        assert rates(now, now).buffered is None

    def test_a_stream_that_begins_again_is_counted_from_its_beginning(self) -> None:
        before = sample([inbound(1, 1_000, 50_000, at=1.0)], RECEIVED)
        now = sample([inbound(2, 10, 500, at=3.0)], RECEIVED)
        assert rates(now, before) == Rates(2_000.0, 0.0)
        assert rates(before, before) == Rates(0.0, None)

    def test_the_round_trip_is_that_of_the_path_that_is_used(self) -> None:
        both = [pair("a", 0.5), pair("b", 0.02), transport("b")]
        assert round_trip(both) == 0.02
        assert round_trip([pair("a", 0.5), transport("")]) is None
        assert round_trip([pair("b", 0.0, responses=0), transport("b")]) is None


class Native:
    """A room of LiveKit's with one track that is sent, as far as statistics need it."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.at, self.size = 100.0, 0
        publication = SimpleNamespace(source=TrackSource.MICROPHONE.value, track=self)
        self.local_participant = SimpleNamespace(
            identity="me", track_publications={"TR_1": publication}
        )
        self.remote_participants: dict[str, Any] = {}

    async def get_stats(self) -> list[stats_pb2.RtcStats]:
        await self.gate.wait()
        return [outbound(7, self.size // 100, self.size, at=self.at)]

    async def get_rtc_stats(self) -> Any:
        if self.error is not None:
            raise self.error
        return SimpleNamespace(publisher_stats=[], subscriber_stats=[])


class Bench:
    """Statistics of a connection that stands until told otherwise, on the native clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.native = Native()
        clock = SimpleNamespace(monotonic=lambda: self.native.at)
        monkeypatch.setattr(statistics, "time", clock)
        room: Any = self.native
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.statistics = Statistics(room, self.ended)

    async def look(self) -> TrackStatistics:
        (track,) = (await self.statistics.look()).tracks
        return track


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_the_rate_is_between_two_looks_and_a_hasty_one_repeats_the_last(
    bench: Bench,
) -> None:
    bench.statistics.begin("TR_1")
    assert (await bench.look()).bit_rate == 0
    for seconds, sent, expected in ((1.0, 6_000, 48_000), (0.05, 0, 48_000), (0.95, 0, 0)):
        bench.native.at += seconds
        bench.native.size += sent
        assert (await bench.look()).bit_rate == pytest.approx(expected)
    assert (await bench.look()).packets == 60


async def test_the_first_look_is_since_the_beginning(bench: Bench) -> None:
    bench.statistics.begin("TR_1")
    bench.native.at += 10
    bench.native.size = 10_000
    bench.statistics.begin("TR_1")  # is not told twice
    assert (await bench.look()).bit_rate == pytest.approx(8_000)
    bench.statistics.end("TR_1")
    assert (await bench.look()).bit_rate == 0  # of a beginning that nobody told of


async def test_a_silent_livekit_a_lost_connection_and_a_refusal_are_typed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "TIMEOUT", 0.01)
    bench.native.error = RuntimeError("engine is closed")
    error = await raises(UTDErrorCode.UNKNOWN, bench.statistics.look())
    assert "engine is closed" in error.message
    assert (error.__cause__, error.__context__) == (None, None)  # LiveKit's own words, raw
    bench.native.gate.clear()
    await raises(UTDErrorCode.TIMEOUT, bench.statistics.look())
    monkeypatch.setattr(statistics, "TIMEOUT", PATIENCE)
    looking = asyncio.ensure_future(bench.statistics.look())
    await asyncio.sleep(0)
    bench.ended.set_result(None)
    with pytest.raises(UTDStreamException) as raised:
        await looking
    assert raised.value.reason is ConflictReason.LEFT


async def told(
    room: UTDRoom, is_there: Callable[[RoomStatistics], bool] = lambda look: True, packets: int = 1
) -> RoomStatistics:
    """Return the first statistics in which all that is judged is there, and each track has had so
    many packets. One says nothing of another: reports have a clock of their own."""
    async with asyncio.timeout(PATIENCE):
        while True:
            look = await room.statistics()
            counted = [track.packets for track in look.tracks]
            if counted and min(counted) >= packets and is_there(look):
                return look
            await asyncio.sleep(0.05)


def is_reported(look: RoomStatistics) -> bool:
    """Whether the media server reported on each track that is sent to it, and the path is known."""
    reports = [(track.round_trip, track.jitter) for track in look.tracks]
    return look.round_trip is not None and not any(None in report for report in reports)


def of(told: RoomStatistics, source: TrackSource) -> TrackStatistics:
    (track,) = (track for track in told.tracks if track.source is source)
    return track


@pytest.mark.long
async def test_both_ends_measure_the_rates_that_are_sent(party: Party) -> None:
    ann, _ = await party.join("ann")
    bob, ear = await party.join("bob")
    await ann.publish(Tone())
    declared = VideoFormat(320, 180, 15)
    await ann.publish(TestPattern(320, 180, 15), TrackSource.CAMERA)
    seen = await ear.wait(
        ev.TrackSubscribed, lambda event: event.track.source is TrackSource.CAMERA
    )
    await bob.look(seen.track.sid, lambda frame: None)  # else it is not pulled
    await told(ann, packets=20)
    await told(bob, packets=20)
    sent = await told(ann, is_reported, packets=60)

    def is_all_there(received: RoomStatistics) -> bool:
        """Whether about as much has come as was sent till then, and of late, too."""
        sources = (TrackSource.MICROPHONE, TrackSource.CAMERA)
        return received.round_trip is not None and all(
            of(received, source).bytes >= 0.7 * of(sent, source).bytes
            and of(received, source).loss is not None
            for source in sources
        )

    received = await told(bob, is_all_there, packets=60)
    later = await told(ann)
    for source in (TrackSource.MICROPHONE, TrackSource.CAMERA):
        assert of(received, source).bytes <= 1.3 * of(later, source).bytes
    for end, direction in ((sent, SENT), (received, RECEIVED)):
        assert {track.direction for track in end.tracks} == {direction}
        assert {track.identity for track in end.tracks} == {"ann"}
        assert 0 <= (end.round_trip or 0) < 1
    for track in sent.tracks:
        # At the media server: on loopback nothing is lost, and everything is quick.
        assert 0 <= (track.round_trip or 0) < 1
        assert (track.jitter or 0) < 0.2
    for track in received.tracks:
        assert track.round_trip is None
        assert track.loss == 0
    # Opus is told 48 kbit/s, and livekit-server asks for each packet twice (RED).
    voice = of(sent, TrackSource.MICROPHONE)
    assert voice.bytes * 8 / (voice.packets / 50) == pytest.approx(75_000, rel=0.5)
    most = 1.5 * bit_rate(declared)
    await told(ann, lambda sent: 10_000 < of(sent, TrackSource.CAMERA).bit_rate < most)


async def test_it_is_refused_unless_connected(party: Party) -> None:
    room = await party.room()
    with pytest.raises(UTDStreamException) as raised:
        await room.statistics()
    assert raised.value.reason is ConflictReason.NOT_JOINED


@pytest.mark.parametrize("sfu_kind", ["embedded"])
async def test_injected_loss_is_told_at_the_end_that_can_know(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, _ = await party.join("ann")
    bob, ear = await party.join("bob")
    await ann.publish(Tone())
    await ear.wait(ev.TrackSubscribed)
    await told(bob, packets=10)
    receive, send = UdpMux.receive, UdpMux.send
    came, went = count(), count()

    def is_media(data: bytes) -> bool:
        return len(data) > 12 and 128 <= data[0] < 192 and not 192 <= data[1] < 224

    def lossy_receive(mux: UdpMux, data: bytes, *rest: Any) -> None:
        if not is_media(data) or next(came) % 4:
            receive(mux, data, *rest)

    def lossy_send(mux: UdpMux, data: bytes, *rest: Any) -> None:
        if not is_media(data) or next(went) % 2:
            send(mux, data, *rest)

    monkeypatch.setattr(UdpMux, "receive", lossy_receive)
    monkeypatch.setattr(UdpMux, "send", lossy_send)
    async with asyncio.timeout(PATIENCE):
        up = down = 0.0
        # Of four packets one is lost on the way up, of the three that are left the half on the
        # way down.
        while not (0.15 < up < 0.35 and 0.35 < down < 0.75):
            await asyncio.sleep(0.3)
            up = (await ann.statistics()).tracks[0].loss or 0.0
            down = (await bob.statistics()).tracks[0].loss or 0.0
    assert down > up
