"""What a client knows of the others in a room, so that each thing is told once."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from utd_rx.models import events as ev
from utd_rx.models.participant import TrackPublication


class Others:
    """Who is there besides this client and what they publish, as it was last told."""

    def __init__(self, snapshot: ev.RoomSnapshot | None = None) -> None:
        remotes = () if snapshot is None else snapshot.remotes
        self._known = {who.identity: {track.sid: track for track in who.tracks} for who in remotes}

    def __contains__(self, identity: str) -> bool:
        return identity in self._known

    @property
    def tracks(self) -> Iterator[tuple[str, TrackPublication]]:
        """Every track with whose it is."""
        for identity, tracks in self._known.items():
            for track in tracks.values():
                yield identity, track

    def of(self, identity: str) -> tuple[TrackPublication, ...]:
        """Return somebody's tracks."""
        return tuple(self._known.get(identity, {}).values())

    def whose(self, sid: str) -> str:
        """Return whose track that is, "" where it is nobody's."""
        return next((who for who, tracks in self._known.items() if sid in tracks), "")

    def find(self, sid: str) -> TrackPublication | None:
        """Return a track by its sid."""
        return next((track for _, track in self.tracks if track.sid == sid), None)

    def news_in(self, event: ev.RoomEvent) -> ev.RoomEvent | None:
        """Return what is new in an event, None when it is known, or about somebody who is not."""
        match event:
            case ev.ParticipantConnected(who):
                if who.identity in self._known:
                    return None
                self._known[who.identity] = {}
            case ev.ParticipantDisconnected(identity):
                if self._known.pop(identity, None) is None:
                    return None
            case ev.TrackEvent(identity):
                return self._news_of_track(event, self._known.get(identity))
            case _:
                about = getattr(event, "identity", None)
                if about is not None and about not in self._known:
                    return None
        return event

    def _news_of_track(
        self, event: ev.TrackEvent, tracks: dict[str, TrackPublication] | None
    ) -> ev.RoomEvent | None:
        if tracks is None:
            return None
        sid, track = event.track.sid, event.track
        known = tracks.get(sid)
        if (known is None) is not isinstance(event, ev.TrackPublished):
            return None
        match event:
            case ev.TrackPublished():
                tracks[sid] = track
            case ev.TrackUnpublished():
                del tracks[sid]
            case ev.TrackSubscribed() | ev.TrackUnsubscribed() if known is not None:
                if known.is_subscribed is track.is_subscribed:
                    return None
                tracks[sid] = track
            case _ if known is not None:
                if known.is_muted is track.is_muted:
                    return None
                track = tracks[sid] = evolve(known, is_muted=track.is_muted)
        return evolve(event, track=track)
