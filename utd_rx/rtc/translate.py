"""LiveKit's events as typed frozen values: one table, one translation per event.

Theory of operation. `Translator` remembers what its listener has been told, as frozen values, and
each translation is the difference to it. That makes delivery exact where LiveKit is not:

* what a snapshot held is not announced again, and what was announced is not announced twice: a
  server's mute fires twice (docs/livekit.md, "Mutes told twice");
* `participants_updated` changes participants without an event: `refresh` finds what changed;
* a server takes a local track away without any event (docs/livekit.md, "Silent revocation"):
  whoever finds out says `local_unpublished`, and if LiveKit starts to say it too, the second time
  is no difference.

A full reconnect tears every remote participant down and announces them anew
(docs/livekit.md, "Departures that did not happen"). From `reconnecting` to `reconnected` removals
are therefore not told: the snapshot in `Reconnected` is the truth, and who was there before and
after is in no event at all. The teardown that comes *before* `reconnecting` is caught in `hold`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import evolve

from utd_rx.models import events as ev
from utd_rx.models.connection import ConnectionQuality, DisconnectReason
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import (
    LocalParticipant,
    Participant,
    RemoteParticipant,
    TrackPublication,
)
from utd_rx.models.secrets import foreign_text
from utd_rx.rtc import native
from utd_rx.rtc.values import permission_of, publication_of, remote_of, snapshot_of

if TYPE_CHECKING:
    from livekit import rtc

Events: TypeAlias = Iterator[ev.RoomEvent]


class Translator:
    """What the listener of one connection has been told, and what to tell it next.

    Args:
        room: A connected room; the snapshot is taken here, before LiveKit's next event.
    """

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._reconnecting = False
        self._take(snapshot_of(room))

    def _take(self, snapshot: ev.RoomSnapshot) -> None:
        self.snapshot = snapshot
        self._local = snapshot.local
        self._remotes = {remote.identity: remote for remote in snapshot.remotes}
        # Own mutes whose echo is still to come; a reconnect swallows them.
        self._echoes: list[tuple[str, bool]] = []

    def translate(self, name: str, args: tuple[Any, ...]) -> Events:
        """Yield what LiveKit's event `name` tells; nothing when it tells nothing new."""
        translation = EVENTS.get(name)
        if translation is None:
            yield ev.UnknownRoomEvent(name)
        else:
            yield from translation(self, *args)

    def refresh(self, identity: str) -> Events:
        """Yield what changed about `identity` since the listener was last told."""
        participant = self._living(identity)
        if participant is not None:
            yield from self._changed(participant)

    def local_unpublished(self, sid: str) -> Events:
        """Yield the end of a local track, once."""
        track = _find(self._local, sid)
        if track is not None:
            self._local = self._local.without_track(sid)
            yield ev.LocalTrackUnpublished(track)

    def mute_changed(self, identity: str, track: TrackPublication) -> Events:
        """Yield a mute or unmute, once."""
        told = self._told(identity)
        known = None if told is None else _find(told, track.sid)
        if known is not None and known.is_muted != track.is_muted:
            self._set_track(identity, evolve(known, is_muted=track.is_muted))
            kind = ev.TrackMuted if track.is_muted else ev.TrackUnmuted
            yield kind(identity, track)

    def local_mute_changed(self, track: TrackPublication) -> Events:
        """Yield a mute or unmute that this side commanded, whose echo is still to come."""
        known = _find(self._local, track.sid)
        if known is not None and known.is_muted != track.is_muted:
            self._echoes.append((track.sid, track.is_muted))
        yield from self.mute_changed(self._local.identity, track)

    # -- the shadow ---------------------------------------------------------------------------

    def _living(self, identity: str) -> rtc.Participant | None:
        if identity == self._local.identity:
            return self._room.local_participant
        return self._room.remote_participants.get(identity)

    def _told(self, identity: str) -> LocalParticipant | RemoteParticipant | None:
        return self._local if identity == self._local.identity else self._remotes.get(identity)

    def _tell(self, told: LocalParticipant | RemoteParticipant) -> None:
        if isinstance(told, LocalParticipant):
            self._local = told
        else:
            self._remotes[told.identity] = told

    def _set_track(self, identity: str, track: TrackPublication) -> None:
        told = self._told(identity)
        if told is not None:
            self._tell(told.with_track(track))

    # -- translations, in the order of the table ------------------------------------------------

    def _reconnecting_(self) -> Events:
        self._reconnecting = True
        yield ev.Reconnecting()

    def _reconnected(self) -> Events:
        self._reconnecting = False
        self._take(snapshot_of(self._room))
        yield ev.Reconnected(self.snapshot)

    def _disconnected(self, reason: int) -> Events:
        yield ev.Disconnected(DisconnectReason(reason))

    def _participant_connected(self, participant: rtc.RemoteParticipant) -> Events:
        if participant.identity in self._remotes:
            yield from self._changed(participant)
        else:
            remote = remote_of(participant)
            self._remotes[remote.identity] = remote
            yield ev.ParticipantConnected(remote)

    def _participant_active(self, participant: rtc.RemoteParticipant) -> Events:
        yield ev.ParticipantActive(participant.identity)

    def _participant_disconnected(self, participant: rtc.RemoteParticipant) -> Events:
        if not self._reconnecting and self._remotes.pop(participant.identity, None) is not None:
            reason = DisconnectReason(participant.disconnect_reason or 0)
            yield ev.ParticipantDisconnected(participant.identity, reason)

    def _changed(self, participant: rtc.Participant, *_: object) -> Events:
        identity = participant.identity
        told = self._told(identity)
        if told is None:
            return
        now = evolve(
            told,
            sid=participant.sid,
            name=participant.name,
            metadata=participant.metadata,
            attributes=FrozenMap(participant.attributes),
            permission=permission_of(participant),
        )
        self._tell(now)
        if now.name != told.name:
            yield ev.ParticipantNameChanged(identity, now.name)
        if now.metadata != told.metadata:
            yield ev.ParticipantMetadataChanged(identity, now.metadata)
        if now.attributes != told.attributes:
            yield ev.ParticipantAttributesChanged(identity, now.attributes)
        if now.permission != told.permission:
            yield ev.ParticipantPermissionsChanged(identity, now.permission)

    def _attributes_changed(self, _changed: object, participant: rtc.Participant) -> Events:
        yield from self._changed(participant)

    def _quality_changed(self, participant: rtc.Participant | None, quality: int) -> Events:
        told = None if participant is None else self._told(participant.identity)
        value = ConnectionQuality(int(quality))
        if told is not None and told.connection_quality is not value:
            self._tell(evolve(told, connection_quality=value))
            yield ev.ConnectionQualityChanged(told.identity, value)

    def _track_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> Events:
        # Its subscription is an event of its own, also when LiveKit held this one back until then.
        track = evolve(publication_of(publication), is_subscribed=False)
        told = self._told(participant.identity)
        if told is not None and _find(told, track.sid) is None:
            self._set_track(participant.identity, track)
            yield ev.TrackPublished(participant.identity, track)

    def _track_unpublished(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> Events:
        told = self._told(participant.identity)
        known = None if told is None else _find(told, publication.sid)
        if not self._reconnecting and told is not None and known is not None:
            self._tell(told.without_track(publication.sid))
            yield ev.TrackUnpublished(participant.identity, publication_of(publication))

    def _track_subscribed(
        self,
        _track: rtc.Track,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> Events:
        yield from self._track_published(publication, participant)
        track, told = publication_of(publication), self._told(participant.identity)
        known = None if told is None else _find(told, track.sid)
        if known is not None and not known.is_subscribed:
            self._set_track(participant.identity, track)
            yield ev.TrackSubscribed(participant.identity, track)

    def _track_unsubscribed(
        self,
        _track: rtc.Track | None,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> Events:
        track, told = publication_of(publication), self._told(participant.identity)
        known = None if told is None else _find(told, track.sid)
        if not self._reconnecting and known is not None and known.is_subscribed:
            self._set_track(participant.identity, track)
            yield ev.TrackUnsubscribed(participant.identity, track)

    def _subscription_failed(
        self, participant: rtc.RemoteParticipant, track_sid: str, error: str
    ) -> Events:
        yield ev.TrackSubscriptionFailed(participant.identity, track_sid, foreign_text(error))

    def _mute(self, participant: rtc.Participant, publication: rtc.TrackPublication) -> Events:
        track = publication_of(publication)
        if (track.sid, track.is_muted) in self._echoes:
            # Our own command was told when it was given; its echo may come after the next one.
            self._echoes.remove((track.sid, track.is_muted))
        else:
            yield from self.mute_changed(participant.identity, track)

    def _local_published(self, publication: rtc.LocalTrackPublication, _track: object) -> Events:
        track = publication_of(publication)
        if _find(self._local, track.sid) is None:
            self._local = self._local.with_track(track)
            yield ev.LocalTrackPublished(track)

    def _local_unpublished(self, publication: rtc.LocalTrackPublication) -> Events:
        yield from self.local_unpublished(publication.sid)

    def _local_republished(self, publication: rtc.LocalTrackPublication, previous: str) -> Events:
        track = publication_of(publication)
        if _find(self._local, previous) is not None:
            self._local = self._local.without_track(previous).with_track(track)
            yield ev.LocalTrackRepublished(track, previous)

    def _local_subscribed(self, track: rtc.Track | None) -> Events:
        if track is not None:
            yield ev.LocalTrackSubscribed(track.sid)

    def _speakers_changed(self, speakers: list[rtc.Participant]) -> Events:
        yield ev.ActiveSpeakersChanged(tuple(speaker.identity for speaker in speakers))

    def _room_metadata_changed(self, _old: str, metadata: str) -> Events:
        yield ev.RoomMetadataChanged(metadata)

    def _room_updated(self) -> Events:
        yield ev.RoomUpdated()

    def _token_refreshed(self) -> Events:
        yield ev.TokenRefreshed()

    def _data_received(self, packet: rtc.DataPacket) -> Events:
        # No participant: the server's API, or somebody LiveKit does not know yet. Its native event
        # names neither, so anybody may forge the server's messages right after joining.
        sender = packet.participant.identity if packet.participant is not None else None
        reliable = packet.kind == native.sdk().DataPacketKind.KIND_RELIABLE
        yield ev.DataReceived(packet.data, sender, packet.topic or "", reliable)

    def _nothing(self, *_: object) -> Events:
        return iter(())


def _find(participant: Participant, sid: str) -> TrackPublication | None:
    return next((track for track in participant.tracks if track.sid == sid), None)


EVENTS: Final[Mapping[str, Callable[..., Events]]] = {
    # Told by `reconnecting`, `reconnected` and `disconnected`; `connected` never fires
    # (docs/livekit.md, "Events that never fire").
    "connected": Translator._nothing,
    "connection_state_changed": Translator._nothing,
    "reconnecting": Translator._reconnecting_,
    "reconnected": Translator._reconnected,
    "disconnected": Translator._disconnected,
    "participant_connected": Translator._participant_connected,
    "participant_active": Translator._participant_active,
    "participant_disconnected": Translator._participant_disconnected,
    "participant_name_changed": Translator._changed,
    "participant_metadata_changed": Translator._changed,
    "participant_attributes_changed": Translator._attributes_changed,
    "participant_permissions_changed": Translator._changed,
    "connection_quality_changed": Translator._quality_changed,
    "track_published": Translator._track_published,
    "track_unpublished": Translator._track_unpublished,
    "track_subscribed": Translator._track_subscribed,
    "track_unsubscribed": Translator._track_unsubscribed,
    "track_subscription_failed": Translator._subscription_failed,
    "track_muted": Translator._mute,
    "track_unmuted": Translator._mute,
    "local_track_published": Translator._local_published,
    "local_track_unpublished": Translator._local_unpublished,
    "local_track_republished": Translator._local_republished,
    "local_track_subscribed": Translator._local_subscribed,
    "active_speakers_changed": Translator._speakers_changed,
    "room_metadata_changed": Translator._room_metadata_changed,
    "room_updated": Translator._room_updated,
    "token_refreshed": Translator._token_refreshed,
    "data_received": Translator._data_received,
}
