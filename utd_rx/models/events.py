"""What happens in a room, as typed frozen values: the firehose behind `session.events`.

The names are LiveKit's. A change carries the new value only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import field, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.checks import typed
from utd_rx.models.connection import ConnectionQuality, DisconnectReason
from utd_rx.models.data_tracks import DataTrackInfo
from utd_rx.models.encryption import EncryptionState
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import (
    LocalParticipant,
    Participant,
    ParticipantPermission,
    RemoteParticipant,
    TrackPublication,
)
from utd_rx.models.transcript import TranscriptSegment
from utd_rx.models.typed_json import Tagged
from utd_rx.models.value import Value


@frozen(field_transformer=typed)
class RoomSnapshot(Value):
    """A room as it was when the connection came up; every event after it is a change to it."""

    name: str
    local: LocalParticipant
    sid: str = ""
    metadata: str = field(default="", repr=False)
    remotes: tuple[RemoteParticipant, ...] = ()


@frozen(field_transformer=typed)
class RoomEvent(Value, Tagged):
    """Base of all room events."""


@frozen(field_transformer=typed)
class Reconnecting(RoomEvent):
    """The connection was lost and LiveKit tries to restore it."""


@frozen(field_transformer=typed)
class Reconnected(RoomEvent):
    """The connection is back; `snapshot` is the room as it is now."""

    snapshot: RoomSnapshot


@frozen(field_transformer=typed)
class Disconnected(RoomEvent):
    """The connection is over; LiveKit does not come back by itself after this."""

    reason: DisconnectReason


@frozen(field_transformer=typed)
class ParticipantConnected(RoomEvent):
    participant: RemoteParticipant


@frozen(field_transformer=typed)
class ParticipantActive(RoomEvent):
    """A participant can receive data from now on."""

    identity: str


@frozen(field_transformer=typed)
class ParticipantDisconnected(RoomEvent):
    identity: str
    reason: DisconnectReason = DisconnectReason.UNKNOWN


@frozen(field_transformer=typed)
class ParticipantNameChanged(RoomEvent):
    identity: str
    name: str


@frozen(field_transformer=typed)
class ParticipantMetadataChanged(RoomEvent):
    identity: str
    metadata: str = field(repr=False)


@frozen(field_transformer=typed)
class ParticipantAttributesChanged(RoomEvent):
    """`attributes` is the whole new mapping."""

    identity: str
    attributes: FrozenMap[str, str]


@frozen(field_transformer=typed)
class ParticipantPermissionsChanged(RoomEvent):
    identity: str
    permission: ParticipantPermission


@frozen(field_transformer=typed)
class ConnectionQualityChanged(RoomEvent):
    identity: str
    quality: ConnectionQuality


@frozen(field_transformer=typed)
class ParticipantEncryptionChanged(RoomEvent):
    """How it is with the encryption of what `identity`, local or remote, publishes."""

    identity: str
    encryption: EncryptionState


@frozen(field_transformer=typed)
class TrackEvent(RoomEvent):
    """Base of what happens to a `track` of `identity`."""

    identity: str
    track: TrackPublication


@frozen(field_transformer=typed)
class TrackPublished(TrackEvent):
    """A remote participant published `track`."""


@frozen(field_transformer=typed)
class TrackUnpublished(TrackEvent):
    """A remote participant's `track` is gone."""


@frozen(field_transformer=typed)
class TrackSubscribed(TrackEvent):
    """The media of a remote `track` arrives from now on."""


@frozen(field_transformer=typed)
class TrackUnsubscribed(TrackEvent):
    """The media of a remote `track` does not arrive any more."""


@frozen(field_transformer=typed)
class TrackSubscriptionFailed(RoomEvent):
    identity: str
    track_sid: str
    error: str


@frozen(field_transformer=typed)
class TrackMuted(TrackEvent):
    """`track` of `identity`, local or remote, was muted; sent once."""


@frozen(field_transformer=typed)
class TrackUnmuted(TrackEvent):
    """`track` of `identity`, local or remote, can be heard or seen again; sent once."""


@frozen(field_transformer=typed)
class LocalTrackPublished(RoomEvent):
    track: TrackPublication


@frozen(field_transformer=typed)
class LocalTrackUnpublished(RoomEvent):
    """A local track is gone: by command, or because the server took the permission."""

    track: TrackPublication


@frozen(field_transformer=typed)
class LocalTrackRepublished(RoomEvent):
    """A full reconnect gave the track of `previous_sid` a new sid."""

    track: TrackPublication
    previous_sid: str


@frozen(field_transformer=typed)
class LocalTrackSubscribed(RoomEvent):
    """The first remote participant subscribed to the local track."""

    track_sid: str


@frozen(field_transformer=typed)
class LocalAudioEnded(RoomEvent):
    """The audio input behind a local track has no more sound: a file came to its end."""

    track_sid: str


@frozen(field_transformer=typed)
class LocalVideoEnded(RoomEvent):
    """The video input behind a local track has no more pictures."""

    track_sid: str


@frozen(field_transformer=typed)
class LocalVideoResumed(RoomEvent):
    """What had been interrupted goes on: the camera is back."""

    track_sid: str


def _facts_of(error: UTDStreamException) -> tuple[object, ...]:
    return error.message, error.code, error.reason


@frozen(field_transformer=typed)
class LocalTrackFailed(RoomEvent):
    """The audio input behind a local track went on with what cannot be sent; the track ended.

    `LocalTrackUnpublished` follows.
    """

    track_sid: str
    error: UTDStreamException = field(eq=_facts_of)


@frozen(field_transformer=typed)
class LocalVideoInterrupted(RoomEvent):
    """The device behind a local track is lost, as a camera that was unplugged.

    The track stays published, and shows its last picture until `LocalVideoResumed`.
    """

    track_sid: str
    error: UTDStreamException = field(eq=_facts_of)


@frozen(field_transformer=typed)
class ActiveSpeakersChanged(RoomEvent):
    """Who speaks now, loudest first."""

    identities: tuple[str, ...]


@frozen(field_transformer=typed)
class RoomMetadataChanged(RoomEvent):
    metadata: str = field(repr=False)


@frozen(field_transformer=typed)
class RoomUpdated(RoomEvent):
    """The room's name or sid was told, or a counter of it changed; "" is not known."""

    name: str = ""
    sid: str = ""


@frozen(field_transformer=typed)
class RoomMoved(RoomEvent):
    """The server moved this client to another room; `snapshot` is the room it is in now."""

    snapshot: RoomSnapshot


@frozen(field_transformer=typed)
class TokenRefreshed(RoomEvent):
    """The server sent a newer token; it is kept where the connection needs it."""


@frozen(field_transformer=typed)
class DataReceived(RoomEvent):
    """A data message.

    `sender` is the identity of the participant who sent it, None when LiveKit names nobody: the
    server's own API, *or a participant it does not know yet*. For about 3 s after a join the two
    cannot be told apart, not even in LiveKit's native event, whose `participant_identity` is empty
    for both (docs/livekit.md, "Unnamed senders"). So a message without a sender proves nothing:
    read the state it speaks of.
    """

    payload: bytes = field(repr=False)
    sender: str | None
    topic: str = ""
    reliable: bool = True


@frozen(field_transformer=typed)
class TranscriptionReceived(RoomEvent):
    """Words were written down, by a packet of the older kind; `transcript` has the newer, too.

    `speaker` is whose words they are said to be, None for somebody who is not known; who says it
    LiveKit does not tell.
    """

    speaker: str | None
    track_sid: str
    segments: tuple[TranscriptSegment, ...]


@frozen(field_transformer=typed)
class DataTrackPublished(RoomEvent):
    """A remote participant published a data track."""

    identity: str
    track: DataTrackInfo


@frozen(field_transformer=typed)
class DataTrackUnpublished(RoomEvent):
    """A remote participant's data track is gone."""

    identity: str
    track: DataTrackInfo


@frozen(field_transformer=typed)
class DataMissed(RoomEvent):
    """Messages of others that are gone: data that came while the app stood still, and was more than
    the media process keeps for it, of which the oldest went, before what is told now; or texts and
    files of which too many came at a time."""

    count: int


@frozen(field_transformer=typed)
class UnknownRoomEvent(RoomEvent):
    """An event this version has no type for; `name` is LiveKit's."""

    name: str


_CHANGES: Final[dict[str, Callable[[str, Any], RoomEvent]]] = {
    "name": ParticipantNameChanged,
    "metadata": ParticipantMetadataChanged,
    "attributes": ParticipantAttributesChanged,
    "permission": ParticipantPermissionsChanged,
    "encryption": ParticipantEncryptionChanged,
}


def changes(before: Participant, after: Participant) -> list[RoomEvent]:
    """Return what tells of the changes to somebody, in the order in which LiveKit tells them."""
    return [
        change(after.identity, now)
        for name, change in _CHANGES.items()
        if (now := getattr(after, name)) != getattr(before, name)
    ]
