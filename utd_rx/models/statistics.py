"""How media gets through, as measured at this end.

Times are seconds, rates bits per second, shares 0 to 1. None is what is not known: nothing was sent
that could be measured, or nobody reports it.
"""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from utd_rx.models.checks import typed
from utd_rx.models.participant import TrackSource
from utd_rx.models.value import Value


class TrackDirection(Enum):
    """Which way a track goes, seen from this client."""

    SENT = "sent"
    RECEIVED = "received"


@frozen(field_transformer=typed)
class TrackStatistics(Value):
    """One track, between the last two looks, at the first look since its beginning.

    A track of several layers is their sum, and the worst of them where a sum says nothing. What is
    sent is measured up to the media server and what is received from it: of a call of two, each end
    knows half of the way.

    Attributes:
        direction: Sent or received.
        identity: Who publishes it.
        track_sid: Its sid.
        source: What it is of.
        round_trip: Seconds to the media server and back, as its reports on this track tell; None
            until LiveKit measured one (of sound after 3 s or so), and for what is received, of
            which nobody reports it.
        jitter: Seconds by which packets arrive unevenly, smoothed (RFC 3550), at the media server
            for what is sent.
        loss: The share of packets that did not arrive, those repeated later included.
        bit_rate: Bits per second of payload, without headers.
        packets: Since the track began.
        bytes: Of payload, since the track began.
        buffered: Seconds for which what is received waits in LiveKit's jitter buffer, on average:
            the less evenly packets arrive, the longer, and for a while afterwards. None of what is
            sent, and while nothing leaves it.
    """

    direction: TrackDirection
    identity: str
    track_sid: str
    source: TrackSource
    round_trip: float | None = None
    jitter: float | None = None
    loss: float | None = None
    bit_rate: float = 0.0
    packets: int = 0
    bytes: int = 0
    buffered: float | None = None


@frozen(field_transformer=typed)
class MediaStatistics(Value):
    """Where the room lives (docs/audio.md, "The media process").

    Attributes:
        pid: Of the media process, None where the room lives in the app's.
        deaths: How many media processes of this app's loop have died.
        failure: What the last of them said, "" when none has died.
        unread: Frames of sound that crossed between this one and the app, and that the other side
            did not take within a second, as its loop was busy: what the app hears, and what its
            own sources make. One of more than 10 ms of 48 kHz counts as several.
        dropped: Samples of what the app said on speakers (`Speaker.voice`, an agent's words) that
            came faster than the media processes of its loop took them; of live sound also what one
            had when it died, and what came before the next.
    """

    pid: int | None = None
    deaths: int = 0
    failure: str = ""
    unread: int = 0
    dropped: int = 0

    @property
    def is_apart(self) -> bool:
        """Whether it lives in a process of its own."""
        return self.pid is not None


@frozen(field_transformer=typed)
class RoomStatistics(Value):
    """All tracks that are sent or received, and the connection.

    Attributes:
        tracks: Those sent first; of a track that is published but has had no packet yet all is 0.
        round_trip: Seconds from here to the media server and back, None until it was measured.
        media: Where the room lives.
    """

    tracks: tuple[TrackStatistics, ...] = ()
    round_trip: float | None = None
    media: MediaStatistics = MediaStatistics()
