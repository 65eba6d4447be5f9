"""What is told and asked about this client's own tracks: one set for every source."""

from __future__ import annotations

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.protocol.facts import Effect, Fact


class MediaFact(Fact):
    """One that is about the track of its `source` alone."""

    __slots__ = ()


@frozen
class PublishingWanted(MediaFact):
    """The app switched a source on or off; `closes`: off, and its track is taken down."""

    source: TrackSource
    enabled: bool
    closes: bool = False


@frozen
class PublishingWithdrawn(MediaFact):
    """Who switched it on, as word number `stated`, gave up; it takes back no word but its own.

    `closes`: it was off before, and its track is taken down again.
    """

    source: TrackSource
    stated: int
    closes: bool = False


@frozen
class TrackOpened(MediaFact):
    """It is published."""

    source: TrackSource
    epoch: int
    track: TrackPublication


@frozen
class TrackFailed(MediaFact):
    """What was under way failed."""

    source: TrackSource
    epoch: int
    error: UTDStreamException


@frozen
class TrackMuteChanged(MediaFact):
    """It is muted or not, as commanded."""

    source: TrackSource
    epoch: int
    muted: bool


@frozen
class TrackClosed(MediaFact):
    """It is not published any more, as commanded."""

    source: TrackSource
    epoch: int


@frozen
class OpenTrack(Effect):
    """Open the app's source and publish it; `TrackOpened` or `TrackFailed`."""

    source: TrackSource
    epoch: int


@frozen
class MuteTrack(Effect):
    """Mute or unmute; `TrackMuteChanged` or `TrackFailed`."""

    source: TrackSource
    epoch: int
    track_sid: str
    muted: bool


@frozen
class CloseTrack(Effect):
    """Unpublish; `TrackClosed` or `TrackFailed`."""

    source: TrackSource
    epoch: int
    track_sid: str


@frozen
class CancelTrack(Effect):
    """Abandon the operation begun in `epoch`, and whatever it may have opened."""

    source: TrackSource
    epoch: int
