"""Visits: who came and went, and which of their tracks, while nobody heard of it.

Ports tell of somebody that they came when nothing was known of them, and of a track that it was
published likewise (`utd_rx.rtc.translate`). So what is told from there until they have gone leads
nowhere. While the connection is restored nobody goes (`utd_rx.protocol.roster`). What was thinned
before keeps that: who was there before and came back is told to have gone first.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from utd_rx.models import events as ev
from utd_rx.models.events import RoomEvent
from utd_rx.models.participant import TrackKind


@frozen
class Visit:
    """A visit that is over.

    Attributes:
        identity: Who came, or whose track did.
        sid: Of the track, "" where it is somebody's own.
        told: Where in what is told something tells of it, its beginning first, its end last.
        was_heard: Whether there was sound that its end ends.
        came_again: Whether another one follows.
    """

    identity: str
    sid: str
    told: tuple[int, ...]
    was_heard: bool = False
    came_again: bool = False


def visits(events: Sequence[RoomEvent]) -> list[Visit]:
    """Return the visits that are over, since the last snapshot, in the order of their ends."""
    guests = _Guests()
    for n, event in enumerate(events):
        guests.take(n, event)
    came = guests.came
    return [
        evolve(visit, came_again=True)
        if came[visit.identity, visit.sid] > visit.told[-1]
        else visit
        for visit in guests.visits
    ]


class _Guests:
    """Who is there, as far as was told."""

    def __init__(self) -> None:
        self._is_out = False
        self._forget()

    def _forget(self) -> None:
        self.visits: list[Visit] = []
        self.came: dict[tuple[str, str], int] = {}
        self._people: dict[str, list[int]] = {}
        self._tracks: dict[str, dict[str, list[int]]] = {}  # by whose they are

    def take(self, n: int, event: RoomEvent) -> None:
        """Take what is told next; total."""
        match event:
            case ev.Reconnecting():
                self._is_out = True
            case ev.Reconnected():
                self._is_out = False
                self._forget()
            case ev.RoomMoved():
                self._forget()
            case ev.ParticipantConnected(who):
                self.came[who.identity, ""] = n
                self._people[who.identity] = [n]
            case ev.TrackPublished() | ev.DataTrackPublished():
                self.came[event.identity, event.track.sid] = n
                self._tracks.setdefault(event.identity, {})[event.track.sid] = []
                self._note(n, event.identity, event.track.sid)
            case ev.ParticipantDisconnected(identity):
                self._note(n, identity)
                if not self._is_out:
                    self._go(identity)
            case ev.TrackUnpublished(identity, track):
                self._note(n, identity, track.sid)
                if not self._is_out:
                    self._unpublish(identity, track.sid, track.kind is TrackKind.AUDIO)
            case ev.DataTrackUnpublished(identity, data_track):
                self._note(n, identity, data_track.sid)
                self._unpublish(identity, data_track.sid)
            case _ if isinstance(whose := getattr(event, "identity", None), str):
                self._note(n, whose, _sid(event))

    def _go(self, identity: str) -> None:
        for sid, of_track in self._tracks.pop(identity, {}).items():
            self.visits.append(Visit(identity, sid, tuple(of_track)))
        if (told := self._people.pop(identity, None)) is not None:
            self.visits.append(Visit(identity, "", tuple(told), was_heard=True))

    def _unpublish(self, identity: str, sid: str, was_heard: bool = False) -> None:
        if (told := self._tracks.get(identity, {}).pop(sid, None)) is not None:
            self.visits.append(Visit(identity, sid, tuple(told), was_heard))

    def _note(self, n: int, identity: str, sid: str = "") -> None:
        if (told := self._people.get(identity)) is not None:
            told.append(n)
        if (told := self._tracks.get(identity, {}).get(sid)) is not None:
            told.append(n)


def _sid(event: RoomEvent) -> str:
    sid: str = (
        event.track.sid if isinstance(event, ev.TrackEvent) else getattr(event, "track_sid", "")
    )
    return sid
