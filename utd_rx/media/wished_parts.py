"""The parts of what is wanted of a room (`wished`), each with whether this life's has been told."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import AudioInput
from utd_rx.models.encryption import Encryption
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import TrackPublication
from utd_rx.models.video import VideoInput


@frozen
class JoinedAt:
    """Where it is joined; the token is the newest that is known, and so are the keys."""

    url: str
    token: str = field(repr=False)
    auto_subscribe: bool = True
    encryption: Encryption | None = None


@frozen
class OwnTrack:
    """Something published: `track` as it is, `known` as whoever listens was told, or has commanded,
    `there` its sid in this life."""

    source: AudioInput | VideoInput = field(eq=id)  # it may hold arrays
    track: TrackPublication
    known: TrackPublication
    there: str | None
    former: tuple[str, ...] = ()


@frozen
class LostTrack:
    """An own track that ended while the room was restored, as whoever listens knows it; `error`
    where it failed."""

    known: TrackPublication
    error: UTDStreamException | None = None


@frozen
class OwnDataTrack:
    """A data track that is published; `there` is its number in this life."""

    name: str
    there: int | None = None


@frozen
class SubscriptionWord:
    """The app's last word on a remote track."""

    is_wanted: bool
    there: bool = False


@frozen
class WishedReception:
    """Something received: the port's method `begin` with a track and `args`, over by `end`."""

    begin: str
    end: str
    track_sid: str
    args: tuple[Any, ...]
    options: FrozenMap[str, Any] = field(factory=FrozenMap)
    there: int | None = None
