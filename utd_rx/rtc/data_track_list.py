"""Which data tracks others publish: told by events alone, right behind a join for those that are
there, so no room of LiveKit's has them (docs/livekit.md, "Tracks of data")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from utd_rx.models.data_tracks import DataTrackInfo
from utd_rx.models.participant import RemoteParticipant

if TYPE_CHECKING:
    from livekit import rtc


class DataTrackList:
    """Those of one connection, whoever of their publishers is known."""

    def __init__(self) -> None:
        self._by_owner: dict[str, dict[str, DataTrackInfo]] = {}
        self._owners: dict[str, str] = {}

    def add(self, track: rtc.RemoteDataTrack) -> tuple[str, DataTrackInfo]:
        """Take note of one; returns whose it is, and which."""
        owner, info = track.publisher_identity, DataTrackInfo(track.info.sid, track.info.name)
        self._owners[info.sid] = owner
        self._by_owner.setdefault(owner, {})[info.sid] = info
        return owner, info

    def drop(self, sid: str) -> tuple[str, DataTrackInfo] | None:
        """Take note that one is over; returns it, None when it is not known."""
        owner = self._owners.pop(sid, None)
        if owner is None:
            return None
        info = self._by_owner[owner].pop(sid)
        if not self._by_owner[owner]:
            del self._by_owner[owner]
        return owner, info

    def given(self, who: RemoteParticipant) -> RemoteParticipant:
        """Return somebody with those they publish."""
        tracks = self._by_owner.get(who.identity)
        return evolve(who, data_tracks=tuple(tracks.values())) if tracks else who
