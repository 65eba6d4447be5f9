"""Who is in the room: a snapshot, then one change per event.

An event about somebody who is not listed changes nothing: it is the echo of a participant who
left, or of one a snapshot is going to bring. While the connection is being restored nobody is taken
away, because a full reconnect reports everybody as gone and then as new (docs/livekit.md,
"Departures that did not happen"): the snapshot that ends the outage says who really left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import evolve, field, frozen

from utd_rx.models import events as e
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    RemoteParticipant,
    TrackKind,
    TrackSource,
)


@frozen
class Roster:
    """The room as last heard of; `local` is None before the first connection.

    `room_name` and `room_sid` are the media server's.
    """

    local: LocalParticipant | None = None
    remotes: FrozenMap[str, RemoteParticipant] = field(factory=FrozenMap)
    metadata: str = field(default="", repr=False)
    active_speakers: tuple[str, ...] = ()
    room_name: str = ""
    room_sid: str = ""

    @property
    def identity(self) -> str:
        """Who this client is in the room; "" before the first connection."""
        return "" if self.local is None else self.local.identity

    @property
    def permission(self) -> ParticipantPermission:
        """What the server lets this client do; nothing before the first connection."""
        return ParticipantPermission() if self.local is None else self.local.permission

    @property
    def participants(self) -> tuple[RemoteParticipant, ...]:
        """The remote participants in the order they came."""
        return self.remotes.listed()

    def find(self, identity: str) -> Any:
        """Return the participant `identity`, this client among them, None when not here."""
        if self.local is not None and identity == self.local.identity:
            return self.local
        return self.remotes.get(identity)


def from_snapshot(snapshot: e.RoomSnapshot) -> Roster:
    """Return the roster a snapshot describes."""
    return Roster(
        local=snapshot.local,
        remotes=FrozenMap((remote.identity, remote) for remote in snapshot.remotes),
        metadata=snapshot.metadata,
        room_name=snapshot.name,
        room_sid=snapshot.sid,
    )


def step(roster: Roster, event: object, *, is_reconnecting: bool) -> Roster:
    """Return the roster after `event`; total, an event it does not know changes nothing."""
    if is_reconnecting and isinstance(event, e.ParticipantDisconnected | e.TrackUnpublished):
        return roster
    change = CHANGES.get(type(event))
    return roster if change is None else change(roster, event)


def emptied(roster: Roster) -> Roster:
    """Return the roster of a connection that is over: nobody is there, nothing is granted."""
    local = roster.local
    if local is not None:
        local = evolve(local, permission=ParticipantPermission(), tracks=())
    return Roster(local=local, room_name=roster.room_name)


def sid_of(roster: Roster, identity: str) -> str | None:
    """Return the sid of the connection of `identity`, None when they are not here."""
    participant = roster.remotes.get(identity)
    return None if participant is None else participant.sid


def received_sid(roster: Roster, identity: str, source: TrackSource) -> str | None:
    """Return the sid of `identity`'s track of `source` while it is subscribed, None otherwise."""
    participant = roster.remotes.get(identity)
    track = None if participant is None else participant.track(source)
    return track.sid if track is not None and track.is_subscribed else None


def data_track_sid(roster: Roster, identity: str, name: str) -> str | None:
    """Return the sid of `identity`'s data track of that name, None when there is none."""
    who = roster.remotes.get(identity)
    tracks = () if who is None else who.data_tracks
    return next((track.sid for track in tracks if track.name == name), None)


def _change(roster: Roster, identity: str, change: Callable[[Any], Any]) -> Roster:
    who = roster.find(identity)
    if who is None:
        return roster
    if who is roster.local:
        return evolve(roster, local=change(who))
    return evolve(roster, remotes=roster.remotes.set(identity, change(who)))


def _set_field(name: str, told: str | None = None) -> Callable[[Roster, Any], Roster]:
    def apply(roster: Roster, event: Any) -> Roster:
        value = getattr(event, told or name)
        return _change(roster, event.identity, lambda who: evolve(who, **{name: value}))

    return apply


def _set_track(roster: Roster, event: Any) -> Roster:
    return _change(roster, event.identity, lambda who: who.with_track(event.track))


def _drop_track(roster: Roster, identity: str, sid: str) -> Roster:
    roster = _change(roster, identity, lambda who: who.without_track(sid))
    who = roster.find(identity)
    if who is not None and any(track.kind is TrackKind.AUDIO for track in who.tracks):
        return roster
    # Of a track that nobody receives any more an SFU says nothing, not even that it fell silent.
    return _silence(roster, identity)


def _silence(roster: Roster, identity: str) -> Roster:
    if identity not in roster.active_speakers:
        return roster
    speaking = tuple(who for who in roster.active_speakers if who != identity)
    return evolve(roster, active_speakers=speaking)


def _change_remote(
    roster: Roster, identity: str, change: Callable[[RemoteParticipant], RemoteParticipant]
) -> Roster:
    who = roster.remotes.get(identity)
    if who is None:
        return roster
    return evolve(roster, remotes=roster.remotes.set(identity, change(who)))


CHANGES: Final[dict[type, Callable[[Roster, Any], Roster]]] = {
    e.ParticipantConnected: lambda roster, event: evolve(
        roster, remotes=roster.remotes.set(event.participant.identity, event.participant)
    ),
    e.ParticipantDisconnected: lambda roster, event: evolve(
        _silence(roster, event.identity), remotes=roster.remotes.remove(event.identity)
    ),
    e.ParticipantNameChanged: _set_field("name"),
    e.ParticipantMetadataChanged: _set_field("metadata"),
    e.ParticipantAttributesChanged: _set_field("attributes"),
    e.ParticipantPermissionsChanged: _set_field("permission"),
    e.ParticipantEncryptionChanged: _set_field("encryption"),
    e.ConnectionQualityChanged: _set_field("connection_quality", "quality"),
    e.TrackPublished: _set_track,
    e.TrackUnpublished: lambda roster, event: _drop_track(roster, event.identity, event.track.sid),
    e.TrackSubscribed: _set_track,
    e.TrackUnsubscribed: _set_track,
    e.TrackMuted: _set_track,
    e.TrackUnmuted: _set_track,
    e.LocalTrackPublished: lambda roster, event: _change(
        roster, roster.identity, lambda me: me.with_track(event.track)
    ),
    e.LocalTrackUnpublished: lambda roster, event: _drop_track(
        roster, roster.identity, event.track.sid
    ),
    e.LocalTrackRepublished: lambda roster, event: _change(
        roster,
        roster.identity,
        lambda me: me.without_track(event.previous_sid).with_track(event.track),
    ),
    e.DataTrackPublished: lambda roster, event: _change_remote(
        roster, event.identity, lambda who: who.with_data_track(event.track)
    ),
    e.DataTrackUnpublished: lambda roster, event: _change_remote(
        roster, event.identity, lambda who: who.without_data_track(event.track.sid)
    ),
    e.ActiveSpeakersChanged: lambda roster, event: evolve(roster, active_speakers=event.identities),
    e.RoomMetadataChanged: lambda roster, event: evolve(roster, metadata=event.metadata),
    e.RoomUpdated: lambda roster, event: evolve(
        roster, room_name=event.name or roster.room_name, room_sid=event.sid or roster.room_sid
    ),
    e.RoomMoved: lambda roster, event: from_snapshot(event.snapshot),
    e.Reconnected: lambda roster, event: from_snapshot(event.snapshot),
}
"""What each event does to the roster; the events that change nothing in it are not listed."""
