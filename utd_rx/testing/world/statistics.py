"""How media gets through a world's network: what was counted between two looks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from utd_rx.models.participant import TrackKind, TrackPublication
from utd_rx.models.statistics import RoomStatistics, TrackDirection, TrackStatistics
from utd_rx.testing.world.network import Link
from utd_rx.testing.world.sfu_participant import VirtualParticipant
from utd_rx.testing.world.sfu_room import VirtualRoom

BYTES: Final = {TrackKind.AUDIO: 60, TrackKind.VIDEO: 3_000}
"""Of a frame: 10 ms of Opus at 48 kbit/s, a picture of 640×360 at 30 frames and 720 kbit/s."""


class Ledger:
    """The counts of one connection; a frame is a packet here."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._last: dict[str, tuple[float, int]] = {}  # by sid: when it was looked at, and bytes

    def look(
        self,
        room: VirtualRoom,
        there: VirtualParticipant,
        own: Iterable[TrackPublication],
        others: Iterable[tuple[str, TrackPublication]],
    ) -> RoomStatistics:
        """Measure the tracks that are sent and received; see `RoomPort.statistics`."""
        counts = room.media.frames
        sent = [
            self._look(TrackDirection.SENT, there.identity, track, counts[track.sid])
            for track in own
        ]
        received = [
            self._look(TrackDirection.RECEIVED, identity, track, counts[track.sid] - before)
            for identity, track in others
            if (before := there.receives.get(track.sid)) is not None and track.is_subscribed
        ]
        return RoomStatistics((*sent, *received), 2 * self._link.delay)

    def _look(
        self, direction: TrackDirection, identity: str, track: TrackPublication, frames: int
    ) -> TrackStatistics:
        now, size = asyncio.get_running_loop().time(), frames * BYTES.get(track.kind, 0)
        at, before = self._last.get(track.sid, (now, 0))
        self._last[track.sid] = now, size
        is_known, is_sent = frames > 0, direction is TrackDirection.SENT
        return TrackStatistics(
            direction,
            identity,
            track.sid,
            track.source,
            round_trip=2 * self._link.delay if is_known and is_sent else None,
            jitter=self._link.jitter / 2 if is_known else None,
            loss=self._link.share if is_known else None,
            bit_rate=max(0, size - before) * 8 / (now - at) if now > at else 0.0,
            packets=frames,
            bytes=size,
        )
