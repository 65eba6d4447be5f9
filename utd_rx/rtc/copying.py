"""LiveKit's live objects as frozen values."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from utd_rx.models import events as ev
from utd_rx.models.connection import ConnectionQuality
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    RemoteParticipant,
    TrackKind,
    TrackPublication,
    TrackSource,
)
from utd_rx.rtc import native

if TYPE_CHECKING:
    from livekit import rtc

P = TypeVar("P", LocalParticipant, RemoteParticipant)


def publication_of(publication: rtc.TrackPublication) -> TrackPublication:
    return TrackPublication(
        sid=publication.sid,
        name=publication.name,
        kind=TrackKind(publication.kind),
        source=TrackSource(publication.source),
        is_muted=publication.muted,
        is_subscribed=bool(getattr(publication, "subscribed", False)),
        is_encrypted=bool(publication.encryption_type),
    )


def permission_of(participant: rtc.Participant) -> ParticipantPermission:
    granted = participant.permissions
    return ParticipantPermission(
        can_subscribe=granted.can_subscribe,
        can_publish=granted.can_publish,
        can_publish_data=granted.can_publish_data,
        can_publish_sources=tuple(TrackSource(source) for source in granted.can_publish_sources),
        hidden=granted.hidden,
        can_update_metadata=granted.can_update_metadata,
    )


def participant_of(kind: type[P], participant: rtc.Participant) -> P:
    """Copy a participant, as a `kind`, with its publications."""
    return kind(
        identity=participant.identity,
        sid=participant.sid,
        name=participant.name,
        metadata=participant.metadata,
        attributes=FrozenMap(participant.attributes),
        permission=permission_of(participant),
        tracks=tuple(map(publication_of, participant.track_publications.values())),
        connection_quality=ConnectionQuality(int(participant.connection_quality)),
    )


def snapshot_of(room: rtc.Room) -> ev.RoomSnapshot:
    remotes = room.remote_participants.values()
    return ev.RoomSnapshot(
        name=room.name,
        local=participant_of(LocalParticipant, room.local_participant),
        sid=native.room_sid(room),
        metadata=room.metadata,
        remotes=tuple(participant_of(RemoteParticipant, remote) for remote in remotes),
    )
