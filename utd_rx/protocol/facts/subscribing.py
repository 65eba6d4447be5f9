"""What is told and asked about which tracks of others are received."""

from __future__ import annotations

from attrs import frozen

from utd_rx.models.participant import TrackSource
from utd_rx.protocol.facts import Effect, Fact


@frozen
class SubscriptionWanted(Fact):
    """The app wants the tracks of `source` that `identity` has from time to time, or does not."""

    identity: str
    source: TrackSource
    is_wanted: bool


@frozen
class SetSubscribed(Effect):
    """Tell the media server to send a track, or not to."""

    track_sid: str
    is_wanted: bool


@frozen
class ChooseTrack(Effect):
    """Ask the app's own choice whether to receive a track that nothing was said about."""

    identity: str
    track_sid: str
