"""LiveKit's living objects and its events as frozen values.

`Translator` has a translation for each event, `on_` and its name. It remembers what its listener
has been told, and each translation is the difference to that: so delivery is exact where LiveKit is
not:

* what a snapshot held or what was announced is not announced again: a server's mute fires twice
  (docs/livekit.md, "Mutes told twice");
* `participants_updated`, not meant to be an event, changes participants: what changed is told;
* a server takes a local track away without any event (docs/livekit.md, "Silent revocation"):
  whoever finds out says `local_unpublished`.

A full reconnect tears every remote participant down and announces them anew
(docs/livekit.md, "Departures that did not happen"). Until `reconnected` removals are therefore not
told: the snapshot in `Reconnected` is the truth. What comes before is caught in `hold`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import evolve

from utd_rx.models import events as ev
from utd_rx.models.connection import ConnectionQuality, DisconnectReason
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import (
    Participant,
    RemoteParticipant,
    TrackPublication,
)
from utd_rx.models.secrets import foreign_text
from utd_rx.models.transcript import TranscriptSegment
from utd_rx.ports.verdicts import Verdicts
from utd_rx.protocol.transcribing import MAX_LABEL, MAX_SEGMENTS, MAX_WORDS
from utd_rx.rtc import native
from utd_rx.rtc.copying import participant_of, permission_of, publication_of, snapshot_of
from utd_rx.rtc.data_track_list import DataTrackList
from utd_rx.rtc.encrypting import state_of

if TYPE_CHECKING:
    from livekit import rtc

Events: TypeAlias = Iterable[ev.RoomEvent]


class Translator:
    """What the listener of one connection has been told, and what to tell it next; not of own
    tracks that are over, though LiveKit has brought them back."""

    def __init__(
        self,
        room: rtc.Room,
        is_over: Callable[[str], bool] = lambda sid: False,
        *,
        reads_encrypted: bool = False,
    ) -> None:
        self._room = room
        self._is_over = is_over
        me = room.local_participant.identity
        self._verdicts = Verdicts(me, reads_encrypted=reads_encrypted)
        self._reconnecting = False
        self._data_tracks = DataTrackList()
        self._take(snapshot_of(room))

    def _take(self, snapshot: ev.RoomSnapshot) -> None:
        for track in snapshot.local.tracks:
            if self._is_over(track.sid):
                snapshot = evolve(snapshot, local=snapshot.local.without_track(track.sid))
        remotes = map(self._data_tracks.given, snapshot.remotes)
        self._me = snapshot.local.identity
        self.snapshot = snapshot = evolve(
            snapshot,
            local=self._verdicts.judged(snapshot.local),
            remotes=tuple(map(self._verdicts.judged, remotes)),
        )
        everybody: tuple[Participant, ...] = (snapshot.local, *snapshot.remotes)
        self._told = {each.identity: each for each in everybody}
        # Own mutes whose echo is still to come; a reconnect swallows them.
        self._echoes: list[tuple[str, bool]] = []

    def translate(self, name: str, args: tuple[Any, ...]) -> Events:
        """Return what LiveKit's event `name` tells; nothing when it tells nothing new."""
        translation = getattr(self, f"on_{name}", None)
        told: Events = [ev.UnknownRoomEvent(name)] if translation is None else translation(*args)
        return told

    def local_unpublished(self, sid: str) -> Events:
        """Yield the end of a local track, once."""
        track = self._known(self._me, sid)
        if track is not None:
            self._told[self._me] = self._told[self._me].without_track(sid)
            yield ev.LocalTrackUnpublished(track)
            yield from self._judge(self._me)

    def mute_changed(self, identity: str, track: TrackPublication) -> Events:
        """Yield a mute or unmute, once."""
        known = self._known(identity, track.sid)
        if known is not None and known.is_muted != track.is_muted:
            self._tell(identity, evolve(known, is_muted=track.is_muted))
            kind = ev.TrackMuted if track.is_muted else ev.TrackUnmuted
            yield kind(identity, track)

    def local_mute_changed(self, track: TrackPublication) -> Events:
        """Return a mute or unmute that this side commanded, whose echo is still to come."""
        known = self._known(self._me, track.sid)
        if known is not None and known.is_muted != track.is_muted:
            self._echoes.append((track.sid, track.is_muted))
        return self.mute_changed(self._me, track)

    # -- what was told --------------------------------------------------------------------------

    def message_missed(self, identity: str, *, has_key: bool) -> Events:
        """Tell that something of somebody's, with a key for it or without, could not be read."""
        self._verdicts.miss(identity, has_key=has_key)
        return self._judge(identity)

    def message_read(self, identity: str) -> Events:
        """Tell that something of somebody's was read, where the last one was not."""
        return self._judge(identity) if self._verdicts.read(identity) else ()

    def keys_changed(self) -> Events:
        """Tell that what could not be read may be now."""
        for identity in self._verdicts.forget_missed():
            yield from self._judge(identity)

    def _known(self, identity: str, sid: str) -> TrackPublication | None:
        tracks = self._told[identity].tracks if identity in self._told else ()
        return next((track for track in tracks if track.sid == sid), None)

    def _tell(self, identity: str, track: TrackPublication) -> None:
        self._told[identity] = self._told[identity].with_track(track)

    def _judge(self, identity: str) -> Events:
        told = self._told.get(identity)
        if told is not None:
            now = self._told[identity] = self._verdicts.judged(told)
            yield from ev.changes(told, now)

    # -- the connection -------------------------------------------------------------------------

    def on_reconnecting(self) -> Events:
        self._reconnecting = True
        return [ev.Reconnecting()]

    def on_reconnected(self) -> Events:
        self._reconnecting = False
        self._take(snapshot_of(self._room))
        return [ev.Reconnected(self.snapshot)]

    def on_disconnected(self, reason: int) -> Events:
        return [ev.Disconnected(DisconnectReason(reason))]

    def on_connection_state_changed(self, *_: object) -> Events:
        return ()  # told by the three above

    # Never fires (docs/livekit.md, "Events that never fire").
    on_connected = on_connection_state_changed

    def on_room_metadata_changed(self, _: str, metadata: str) -> Events:
        return [ev.RoomMetadataChanged(metadata)]

    def on_room_updated(self) -> Events:
        return [ev.RoomUpdated(self._room.name, native.room_sid(self._room))]

    def on_moved(self) -> Events:
        self._take(snapshot_of(self._room))
        return [ev.RoomMoved(self.snapshot)]

    def on_token_refreshed(self) -> Events:
        return [ev.TokenRefreshed()]

    # -- participants ---------------------------------------------------------------------------

    def on_participant_connected(self, participant: rtc.RemoteParticipant) -> Events:
        if participant.identity in self._told:
            return self._changed(participant)
        remote = self._data_tracks.given(participant_of(RemoteParticipant, participant))
        self._verdicts.read(remote.identity)  # what came before is nothing of theirs
        remote = self._verdicts.judged(remote)
        self._told[remote.identity] = remote
        return [ev.ParticipantConnected(remote)]

    def on_participant_active(self, participant: rtc.RemoteParticipant) -> Events:
        return [ev.ParticipantActive(participant.identity)]

    def on_participant_disconnected(self, participant: rtc.RemoteParticipant) -> Events:
        if not self._reconnecting and self._told.pop(participant.identity, None) is not None:
            reason = DisconnectReason(participant.disconnect_reason or 0)
            yield ev.ParticipantDisconnected(participant.identity, reason)

    def _changed(self, participant: rtc.Participant, *_: object) -> Events:
        identity = participant.identity
        told = self._told.get(identity)
        if told is None:
            return
        now = self._told[identity] = evolve(
            told,
            sid=participant.sid,
            name=participant.name,
            metadata=participant.metadata,
            attributes=FrozenMap(participant.attributes),
            permission=permission_of(participant),
        )
        yield from ev.changes(told, now)

    def on_participants_updated(self, identities: list[str]) -> Events:
        for identity in identities:
            remote = self._room.remote_participants.get(identity)
            living = self._room.local_participant if identity == self._me else remote
            if living is not None:
                yield from self._changed(living)

    on_participant_name_changed = on_participant_metadata_changed = _changed
    on_participant_permissions_changed = _changed

    def on_participant_attributes_changed(self, _: object, participant: rtc.Participant) -> Events:
        return self._changed(participant)

    def on_connection_quality_changed(
        self, participant: rtc.Participant | None, quality: int
    ) -> Events:
        told = None if participant is None else self._told.get(participant.identity)
        value = ConnectionQuality(int(quality))
        if told is not None and told.connection_quality is not value:
            self._told[told.identity] = evolve(told, connection_quality=value)
            yield ev.ConnectionQualityChanged(told.identity, value)

    def on_e2ee_state_changed(self, participant: rtc.Participant | None, state: int) -> Events:
        if participant is not None:
            self._verdicts.say(participant.identity, state_of(state))
            yield from self._judge(participant.identity)

    def on_participant_encryption_status_changed(self, *_: object) -> Events:
        return ()  # each publication says so

    def on_active_speakers_changed(self, speakers: list[rtc.Participant]) -> Events:
        return [ev.ActiveSpeakersChanged(tuple(speaker.identity for speaker in speakers))]

    def on_data_received(self, packet: rtc.DataPacket) -> Events:
        # No participant: the server's API, or somebody LiveKit does not know yet. Its native event
        # names neither, so anybody may forge the server's messages right after joining.
        sender = packet.participant.identity if packet.participant is not None else None
        reliable = packet.kind == native.sdk().DataPacketKind.KIND_RELIABLE
        yield from () if sender is None else self.message_read(sender)
        yield ev.DataReceived(packet.data, sender, packet.topic or "", reliable)

    def on_transcription_received(
        self,
        segments: Iterable[rtc.TranscriptionSegment],
        who: rtc.Participant | None,
        track: rtc.TrackPublication | None,
    ) -> Events:
        told = tuple(
            TranscriptSegment(
                one.id[:MAX_LABEL], one.text[:MAX_WORDS], one.final, one.language[:MAX_LABEL]
            )
            for one in islice(segments, MAX_SEGMENTS)
        )
        speaker = None if who is None else who.identity
        return [ev.TranscriptionReceived(speaker, "" if track is None else track.sid, told)]

    # -- tracks ---------------------------------------------------------------------------------

    def on_track_published(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> Events:
        # Its subscription is an event of its own, also when LiveKit held this one back until then.
        track = evolve(publication_of(publication), is_subscribed=False)
        identity = participant.identity
        if identity in self._told and self._known(identity, track.sid) is None:
            self._tell(identity, track)
            yield ev.TrackPublished(identity, track)
            yield from self._judge(identity)

    def on_track_unpublished(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> Events:
        identity, sid = participant.identity, publication.sid
        if not self._reconnecting and self._known(identity, sid) is not None:
            self._told[identity] = self._told[identity].without_track(sid)
            yield ev.TrackUnpublished(identity, publication_of(publication))
            yield from self._judge(identity)

    def on_track_subscribed(
        self, _: object, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> Events:
        yield from self.on_track_published(publication, participant)
        track = publication_of(publication)
        known = self._known(participant.identity, track.sid)
        if known is not None and not known.is_subscribed:
            self._tell(participant.identity, track)
            yield ev.TrackSubscribed(participant.identity, track)

    def on_track_unsubscribed(
        self, _: object, publication: rtc.TrackPublication, participant: rtc.RemoteParticipant
    ) -> Events:
        track = publication_of(publication)
        known = self._known(participant.identity, track.sid)
        if not self._reconnecting and known is not None and known.is_subscribed:
            self._tell(participant.identity, track)
            yield ev.TrackUnsubscribed(participant.identity, track)

    def on_track_subscription_failed(
        self, participant: rtc.RemoteParticipant, sid: str, error: str
    ) -> Events:
        return [ev.TrackSubscriptionFailed(participant.identity, sid, foreign_text(error))]

    # -- data tracks ----------------------------------------------------------------------------

    def on_data_track_published(self, track: rtc.RemoteDataTrack) -> Events:
        identity, info = self._data_tracks.add(track)
        if isinstance(told := self._told.get(identity), RemoteParticipant):
            self._told[identity] = told.with_data_track(info)
            yield ev.DataTrackPublished(identity, info)

    def on_data_track_unpublished(self, *sids: str) -> Events:
        for identity, info in filter(None, map(self._data_tracks.drop, sids)):
            if isinstance(told := self._told.get(identity), RemoteParticipant):
                self._told[identity] = told.without_data_track(info.sid)
                yield ev.DataTrackUnpublished(identity, info)

    # -- mutes ----------------------------------------------------------------------------------

    def _mute(self, participant: rtc.Participant, publication: rtc.TrackPublication) -> Events:
        track = publication_of(publication)
        # Our own command was told when it was given; its echo may come after the next one, and what
        # else comes before its echo, as a server's mute told again, was overtaken by it.
        waiting = [is_muted for sid, is_muted in self._echoes if sid == track.sid]
        if waiting and waiting[0] == track.is_muted:
            self._echoes.remove((track.sid, waiting.pop(0)))
        return () if waiting else self.mute_changed(participant.identity, track)

    on_track_muted = on_track_unmuted = _mute

    def on_local_track_published(self, publication: rtc.TrackPublication, _: object) -> Events:
        track = publication_of(publication)
        if self._known(self._me, track.sid) is None:
            self._tell(self._me, track)
            yield ev.LocalTrackPublished(track)
            yield from self._judge(self._me)

    def on_local_track_unpublished(self, publication: rtc.TrackPublication) -> Events:
        return self.local_unpublished(publication.sid)

    def on_local_track_republished(
        self, publication: rtc.TrackPublication, previous: str
    ) -> Events:
        track = publication_of(publication)
        if self._known(self._me, previous) is not None:
            self._told[self._me] = self._told[self._me].without_track(previous).with_track(track)
            yield ev.LocalTrackRepublished(track, previous)
            yield from self._judge(self._me)

    def on_local_track_subscribed(self, track: rtc.Track | None) -> Events:
        return () if track is None else [ev.LocalTrackSubscribed(track.sid)]
