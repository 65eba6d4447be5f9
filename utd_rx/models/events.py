"""What happens in a room, as typed frozen values: the firehose behind `session.events`.

The names are LiveKit's. Participants are named by identity and tracks by value, so that an event
can be stored, compared, pickled and replayed. A change carries the new value only.
"""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.connection import ConnectionQuality, DisconnectReason
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    RemoteParticipant,
    TrackPublication,
)


@frozen
class RoomSnapshot:
    """A room as it was when the connection came up; every event after it is a change to it."""

    name: str
    local: LocalParticipant
    sid: str = ""
    metadata: str = field(default="", repr=False)
    remotes: tuple[RemoteParticipant, ...] = ()


@frozen
class RoomEvent:
    """Base of all room events."""


@frozen
class Reconnecting(RoomEvent):
    """The connection was lost and LiveKit tries to restore it."""


@frozen
class Reconnected(RoomEvent):
    """The connection is back; `snapshot` is the room as it is now."""

    snapshot: RoomSnapshot


@frozen
class Disconnected(RoomEvent):
    """The connection is over; LiveKit does not come back by itself after this."""

    reason: DisconnectReason


@frozen
class ParticipantConnected(RoomEvent):
    participant: RemoteParticipant


@frozen
class ParticipantActive(RoomEvent):
    """A participant can receive data from now on."""

    identity: str


@frozen
class ParticipantDisconnected(RoomEvent):
    identity: str
    reason: DisconnectReason = DisconnectReason.UNKNOWN


@frozen
class ParticipantNameChanged(RoomEvent):
    identity: str
    name: str


@frozen
class ParticipantMetadataChanged(RoomEvent):
    identity: str
    metadata: str = field(repr=False)


@frozen
class ParticipantAttributesChanged(RoomEvent):
    """`attributes` is the whole new mapping."""

    identity: str
    attributes: FrozenMap[str, str]


@frozen
class ParticipantPermissionsChanged(RoomEvent):
    identity: str
    permission: ParticipantPermission


@frozen
class ConnectionQualityChanged(RoomEvent):
    identity: str
    quality: ConnectionQuality


@frozen
class TrackPublished(RoomEvent):
    """A remote participant published `track`."""

    identity: str
    track: TrackPublication


@frozen
class TrackUnpublished(RoomEvent):
    """A remote participant's `track` is gone."""

    identity: str
    track: TrackPublication


@frozen
class TrackSubscribed(RoomEvent):
    """The media of a remote `track` arrives from now on."""

    identity: str
    track: TrackPublication


@frozen
class TrackUnsubscribed(RoomEvent):
    identity: str
    track: TrackPublication


@frozen
class TrackSubscriptionFailed(RoomEvent):
    identity: str
    track_sid: str
    error: str


@frozen
class TrackMuted(RoomEvent):
    """`track` of `identity`, local or remote, was muted; sent once (defect D12)."""

    identity: str
    track: TrackPublication


@frozen
class TrackUnmuted(RoomEvent):
    identity: str
    track: TrackPublication


@frozen
class LocalTrackPublished(RoomEvent):
    track: TrackPublication


@frozen
class LocalTrackUnpublished(RoomEvent):
    """A local track is gone: by command, or because the server took the permission (D3)."""

    track: TrackPublication


@frozen
class LocalTrackRepublished(RoomEvent):
    """A full reconnect gave the track of `previous_sid` a new sid."""

    track: TrackPublication
    previous_sid: str


@frozen
class LocalTrackSubscribed(RoomEvent):
    """The first remote participant subscribed to the local track."""

    track_sid: str


@frozen
class LocalAudioEnded(RoomEvent):
    """The audio input behind a local track has no more sound: a file came to its end."""

    track_sid: str


def _facts_of(error: UTDStreamException) -> tuple[object, ...]:
    return error.message, error.code, error.reason


@frozen
class LocalTrackFailed(RoomEvent):
    """The audio input behind a local track went on with what cannot be sent; the track ended.

    `LocalTrackUnpublished` follows.
    """

    track_sid: str
    error: UTDStreamException = field(eq=_facts_of)


@frozen
class ActiveSpeakersChanged(RoomEvent):
    """Who speaks now, loudest first."""

    identities: tuple[str, ...]


@frozen
class RoomMetadataChanged(RoomEvent):
    metadata: str = field(repr=False)


@frozen
class RoomUpdated(RoomEvent):
    """Counters of the room changed; carries nothing."""


@frozen
class TokenRefreshed(RoomEvent):
    """The server sent a newer token; it is kept where the connection needs it."""


@frozen
class DataReceived(RoomEvent):
    """A data message.

    `sender` is the identity of the participant who sent it, None when LiveKit names nobody: the
    server's own API, *or a participant it does not know yet*. For about 3 s after a join the two
    cannot be told apart, not even in LiveKit's native event, whose `participant_identity` is empty
    for both (measured, livekit 1.2.0 on livekit-server 1.13.5; facts/utd-engine.md §7.1, 1 says
    otherwise). So a message without a sender proves nothing: read the state it speaks of.
    """

    payload: bytes = field(repr=False)
    sender: str | None
    topic: str = ""
    reliable: bool = True


@frozen
class UnknownRoomEvent(RoomEvent):
    """An event this version has no type for; `name` is LiveKit's."""

    name: str
