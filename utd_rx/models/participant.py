"""Who is in a room and what they publish, as frozen values.

LiveKit's own change under the reader's hands, and stay (docs/livekit.md, "Living objects").
"""

from __future__ import annotations

from typing import Self

from attrs import evolve, field, frozen

from utd_rx.models.checks import typed
from utd_rx.models.connection import ConnectionQuality, OrUnknown
from utd_rx.models.data_tracks import DataTrackInfo
from utd_rx.models.encryption import EncryptionState
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.value import Value


class TrackKind(OrUnknown):
    """What a track carries; `value` is LiveKit's number."""

    UNKNOWN = 0
    AUDIO = 1
    VIDEO = 2


class TrackSource(OrUnknown):
    """Where a track comes from; `value` is LiveKit's number."""

    UNKNOWN = 0
    CAMERA = 1
    MICROPHONE = 2
    SCREEN_SHARE = 3
    SCREEN_SHARE_AUDIO = 4

    __hash__ = object.__hash__  # Enum's is a call in Python, and every commit looks sources up


@frozen(field_transformer=typed)
class ParticipantPermission(Value):
    """What the server lets a participant do.

    An empty `can_publish_sources` means every source (LiveKit's rule).
    """

    can_subscribe: bool = False
    can_publish: bool = False
    can_publish_data: bool = False
    can_publish_sources: tuple[TrackSource, ...] = ()
    hidden: bool = False
    can_update_metadata: bool = False

    def allows(self, source: TrackSource) -> bool:
        """Whether a track of `source` may be published."""
        return self.can_publish and (
            not self.can_publish_sources or source in self.can_publish_sources
        )


@frozen(field_transformer=typed)
class TrackPublication(Value):
    """A published track; `is_subscribed` says whether its media is being received here, and
    `is_encrypted` whether it is said to be so end to end."""

    sid: str
    name: str = ""
    kind: TrackKind = TrackKind.UNKNOWN
    source: TrackSource = TrackSource.UNKNOWN
    is_muted: bool = False
    is_subscribed: bool = False
    is_encrypted: bool = False


@frozen(field_transformer=typed)
class Participant(Value):
    """What local and remote participants have in common."""

    identity: str
    sid: str = ""
    name: str = ""
    metadata: str = field(default="", repr=False)
    attributes: FrozenMap[str, str] = field(factory=FrozenMap)
    permission: ParticipantPermission = ParticipantPermission()
    tracks: tuple[TrackPublication, ...] = ()
    connection_quality: ConnectionQuality = ConnectionQuality.UNKNOWN
    encryption: EncryptionState = EncryptionState.NONE

    def track(self, source: TrackSource) -> TrackPublication | None:
        """Return the first publication of `source`, None when there is none."""
        return next((track for track in self.tracks if track.source is source), None)

    @property
    def is_microphone_enabled(self) -> bool:
        """Whether a microphone track is published and not muted."""
        microphone = self.track(TrackSource.MICROPHONE)
        return microphone is not None and not microphone.is_muted

    def with_track(self, track: TrackPublication) -> Self:
        """Return a copy in which `track` replaces the publication of its sid, or is added."""
        tracks = tuple([track if known.sid == track.sid else known for known in self.tracks])
        return evolve(self, tracks=tracks if track in tracks else (*tracks, track))

    def without_track(self, sid: str) -> Self:
        """Return a copy without the publication `sid`."""
        return evolve(self, tracks=tuple([track for track in self.tracks if track.sid != sid]))


@frozen(field_transformer=typed)
class LocalParticipant(Participant):
    """This client's own participant."""


@frozen(field_transformer=typed)
class RemoteParticipant(Participant):
    """Somebody else in the room; `data_tracks` are those they publish."""

    data_tracks: tuple[DataTrackInfo, ...] = ()

    def with_data_track(self, track: DataTrackInfo) -> Self:
        """Return a copy in which `track` replaces the one of its name, or is added."""
        others = [known for known in self.data_tracks if known.name != track.name]
        return evolve(self, data_tracks=(*others, track))

    def without_data_track(self, sid: str) -> Self:
        """Return a copy without the data track `sid`."""
        return evolve(
            self, data_tracks=tuple([track for track in self.data_tracks if track.sid != sid])
        )
