"""How media gets through, from LiveKit's statistics: one look after the other.

The room's own name no track that Python knows (docs/livekit.md, "Statistics"), so each track is
asked, one after the other: while a question waits, it sees every event of the process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import TrackSource
from utd_rx.models.secrets import foreign_text
from utd_rx.models.statistics import RoomStatistics, TrackDirection, TrackStatistics

if TYPE_CHECKING:
    from livekit import rtc

TIMEOUT: Final = 5.0
"""Seconds for all answers together; one takes 1 ms."""

SHORTEST: Final = 0.1
"""Seconds between two looks of which the second tells anything new: LiveKit answers from what it
measured up to 50 ms ago."""


@frozen
class Count:
    """What was counted of one stream of packets since it began; `emitted` samples or pictures have
    left the jitter buffer, and waited there for so many seconds in all."""

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    emitted: int = 0
    waited: float = 0.0


@frozen
class Sample:
    """One look at a track: its streams by SSRC, and what is not counted but measured.

    `at` is in seconds of the sender's or receiver's clock, `lost` the share that the media server
    missed lately of what is sent.
    """

    at: float = 0.0
    streams: FrozenMap[int, Count] = field(factory=FrozenMap)
    round_trip: float | None = None
    jitter: float | None = None
    lost: float | None = None


@frozen
class Rates:
    """What follows from two samples."""

    bit_rate: float = 0.0
    loss: float | None = None
    buffered: float | None = None


def sample(stats: Iterable[Any], direction: TrackDirection) -> Sample:
    """Read one track's statistics as LiveKit gives them."""
    found, streams = Sample(), dict[int, Count]()
    for each in stats:
        kind = each.WhichOneof("stats")
        one = getattr(each, kind)
        match direction, kind:
            case TrackDirection.SENT, "outbound_rtp":
                streams[one.stream.ssrc] = Count(one.sent.packets_sent, one.sent.bytes_sent)
            case TrackDirection.RECEIVED, "inbound_rtp":
                got = one.received
                count = streams[one.stream.ssrc] = Count(
                    got.packets_received, one.inbound.bytes_received, got.packets_lost,
                    one.inbound.jitter_buffer_emitted_count, one.inbound.jitter_buffer_delay,
                )  # fmt: skip
                if count.packets:
                    found = evolve(found, jitter=_worst(found.jitter, got.jitter))
            case TrackDirection.SENT, "remote_inbound_rtp":
                report = one.remote_inbound
                found = evolve(
                    found,
                    jitter=_worst(found.jitter, one.received.jitter),
                    lost=_worst(found.lost, report.fraction_lost),
                )
                if report.round_trip_time_measurements:
                    rtt = _worst(found.round_trip, report.round_trip_time)
                    found = evolve(found, round_trip=rtt)
            case _:
                continue
        if kind in ("outbound_rtp", "inbound_rtp"):
            found = evolve(found, at=one.rtc.timestamp / 1e6)
    return evolve(found, streams=FrozenMap(streams))


def rates(now: Sample, before: Sample) -> Rates:
    """Return what happened between two samples of a track; a stream that is new, as after a
    reconnect, began in between."""
    seconds = now.at - before.at
    packets = size = lost = emitted = 0
    waited = 0.0
    for ssrc, count in now.streams.items():
        old = before.streams.get(ssrc, Count())
        packets += count.packets - old.packets
        size += count.bytes - old.bytes
        lost += count.lost - old.lost
        emitted += count.emitted - old.emitted
        waited += count.waited - old.waited
    expected = packets + lost
    share = min(1.0, max(0.0, lost / expected)) if expected > 0 else None
    bit_rate = max(0.0, size * 8 / seconds) if seconds > 0 else 0.0
    return Rates(bit_rate, share, max(0.0, waited / emitted) if emitted > 0 else None)


def round_trip(stats: Iterable[Any]) -> float | None:
    """Return the seconds to the media server and back, of the path that is used."""
    by_kind: dict[str, list[Any]] = {}
    for each in stats:
        kind = each.WhichOneof("stats")
        by_kind.setdefault(kind, []).append(getattr(each, kind))
    used = {one.transport.selected_candidate_pair_id for one in by_kind.get("transport", ())}
    for one in by_kind.get("candidate_pair", ()):
        if one.rtc.id in used and one.candidate_pair.responses_received:
            return float(one.candidate_pair.current_round_trip_time)
    return None


class Statistics:
    """The statistics of one connection, which is over when `ended` is done."""

    def __init__(self, room: rtc.Room, ended: asyncio.Future[None]) -> None:
        self._room = room
        self._ended = ended
        self._began: dict[str, float] = {}  # by sid, as are the last looks
        self._last: dict[str, tuple[Sample, Rates]] = {}

    def begin(self, sid: str) -> None:
        """A track begins now, from which its first look counts."""
        self._began.setdefault(sid, time.monotonic())

    def end(self, sid: str) -> None:
        """A track is over."""
        self._began.pop(sid, None)
        self._last.pop(sid, None)

    async def look(self) -> RoomStatistics:
        """See `RoomPort.statistics`."""
        task = asyncio.create_task(self._look(), name="utd_rx.rtc: statistics")
        try:
            rivals: set[asyncio.Future[Any]] = {task, self._ended}
            await asyncio.wait(rivals, timeout=TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            task.cancel()
        if self._ended.done():
            raise conflict(ConflictReason.LEFT, "The connection ended.")
        raise UTDStreamException(
            f"LiveKit gave no statistics within {TIMEOUT:g} s.", code=UTDErrorCode.TIMEOUT
        )

    async def _look(self) -> RoomStatistics:
        tracks: list[TrackStatistics] = []
        for track, empty in list(self._tracks()):
            try:
                stats = await track.get_stats()
            except Exception:  # noqa: BLE001, S112 - a track that went meanwhile
                continue
            tracks.append(self._told(empty, sample(stats, empty.direction)))
        try:
            whole = await self._room.get_rtc_stats()
        except Exception as error:  # noqa: BLE001 - whatever it is, who looks gets a typed error
            told = foreign_text(str(error))
        else:
            paths = [*whole.publisher_stats, *whole.subscriber_stats]
            return RoomStatistics(tuple(tracks), round_trip(paths))
        raise UTDStreamException(f"LiveKit gave no statistics: {told}.")

    def _tracks(self) -> Iterator[tuple[rtc.Track, TrackStatistics]]:
        local = self._room.local_participant
        sent = ((TrackDirection.SENT, local.identity, local.track_publications),)
        received = (
            (TrackDirection.RECEIVED, who.identity, who.track_publications)
            for who in self._room.remote_participants.values()
        )
        for direction, identity, publications in (*sent, *received):
            for sid, publication in dict(publications).items():
                if publication.track is not None:
                    source = TrackSource(publication.source)
                    empty = TrackStatistics(direction, identity, sid, source)
                    yield publication.track, empty

    def _told(self, empty: TrackStatistics, now: Sample) -> TrackStatistics:
        clock = time.monotonic()
        age = clock - self._began.setdefault(empty.track_sid, clock)
        before, told = self._last.get(empty.track_sid, (Sample(at=now.at - age), Rates()))
        if now.at - before.at >= SHORTEST:
            told = rates(now, before)
            self._last[empty.track_sid] = (now, told)
        return evolve(
            empty,
            round_trip=now.round_trip,
            jitter=now.jitter,
            loss=now.lost if empty.direction is TrackDirection.SENT else told.loss,
            bit_rate=told.bit_rate,
            buffered=told.buffered,
            packets=sum(count.packets for count in now.streams.values()),
            bytes=sum(count.bytes for count in now.streams.values()),
        )


def _worst(known: float | None, other: float) -> float:
    return other if known is None else max(known, other)
