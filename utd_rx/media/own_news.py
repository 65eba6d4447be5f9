"""What became of own tracks while a room was restored, as whoever listens is told at its end. Pure.

Nothing is told of the lives in between, of which there may be several, nor of what happened there:
each track is `known` by what whoever listens was told last, and is told as it is by now.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from utd_rx.media.wished import Wished
from utd_rx.media.wished_parts import OwnTrack
from utd_rx.models import events as ev
from utd_rx.models.frozen_map import FrozenMap


def restored(wished: Wished) -> Wished:
    """Whoever listens is told what became of the own tracks."""
    tracks = ((sid, evolve(own, known=own.track)) for sid, own in wished.tracks.items())
    return evolve(wished, is_restored=True, tracks=FrozenMap(tracks), lost=())


def own_news(wished: Wished) -> tuple[list[ev.RoomEvent], list[ev.RoomEvent]]:
    """Return what is told of own tracks before the snapshot, and what behind it: an end, as by then
    it is known what is granted."""
    before = [event for own in wished.tracks.values() for event in _moved(wished, own)]
    failed = [
        ev.LocalTrackFailed(lost.known.sid, lost.error)
        for lost in wished.lost
        if lost.error is not None
    ]
    return [*before, *failed], [ev.LocalTrackUnpublished(lost.known) for lost in wished.lost]


def _moved(wished: Wished, own: OwnTrack) -> Iterator[ev.RoomEvent]:
    """Yield its new sid, and then the server's mute as one: an intent follows that, and would undo
    what came with a new sid."""
    track, known = own.track, own.known
    if track.sid != known.sid:
        yield ev.LocalTrackRepublished(evolve(track, is_muted=known.is_muted), known.sid)
    if track.is_muted is not known.is_muted:
        kind = ev.TrackMuted if track.is_muted else ev.TrackUnmuted
        yield kind(wished.roster.identity, track)
