"""The room port: what a session needs of a media room.

An `AudioInput` or `VideoInput` crosses it as a value, opened where the room lives: a file, a tone,
the key of a microphone. Sound that the app does not look at does not pass through it (`route`);
what it looks at comes in batches (`hear`). Pictures that nobody looks at do not come at all, and of
the others the newest is shown (`look`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from utd_rx.models import checks
from utd_rx.models.audio import AudioFrame, AudioInput
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.models.devices import DeviceKey
from utd_rx.models.encryption import Encryption
from utd_rx.models.events import RoomEvent, RoomSnapshot
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.models.statistics import RoomStatistics
from utd_rx.models.video import MAX_SIDE, VideoFrame, VideoInput
from utd_rx.ports.data import SelfDescription
from utd_rx.ports.data_tracks import DataFramesSink
from utd_rx.ports.methods import InvocationSink, MethodRequest, Reply
from utd_rx.ports.transfers import TransferHeader, TransferSink

EventSink: TypeAlias = Callable[[tuple[RoomEvent, ...]], None]
"""Takes what one turn of the room's loop brought, at least one event, on its own loop; never
raises."""

FramesSink: TypeAlias = Callable[[tuple[AudioFrame, ...]], None]
"""Takes the frames that came since the last call, on its own loop; never raises. A second of sound
waits at most: beyond it the oldest frames are dropped."""

PicturesSink: TypeAlias = Callable[[VideoFrame], None]
"""Takes one frame, on its own loop; never raises. One waits at most, the newest."""


def height_asked(max_height: int | None) -> int | None:
    """Return what may be asked of `RoomPort.look`, or raise `VALIDATION`."""
    return None if max_height is None else checks.whole(max_height, "max_height", 1, MAX_SIDE)


class RoomPort(Protocol):
    """A media room; it connects any number of times, one connection at a time.

    What it was told to end, or to change, and is over already, is nothing.
    """

    def listen(self, sink: EventSink) -> Callable[[], None]:
        """Deliver everything from now on to `sink`, in order; call the result to stop."""

    async def connect(
        self,
        url: str,
        token: str,
        *,
        auto_subscribe: bool = True,
        encryption: Encryption | None = None,
    ) -> RoomSnapshot:
        """Join; the returned snapshot precedes every event that follows it.

        With `encryption` all that is published and sent is encrypted; without, what others
        encrypt is silence, shows nothing and is no message.

        They may be delivered before whoever awaits this has woken up; nothing of an earlier
        connection is delivered after this was called. Cancelling is safe: nobody stays behind.

        Raises `NETWORK` unreachable, `TIMEOUT`, `UNAUTHORIZED` token refused, `CONFLICT` already
        connected, `SERVER` refused by the server, as for a full room.
        """

    async def reconnect(
        self, token: str | None = None, *, encryption: Encryption | None = None
    ) -> RoomSnapshot:
        """Join again where it was joined last, after that connection has ended.

        Without a `token`, with the newest that the server gave; without `encryption`, with the
        newest keys it had. Raises as `connect`, and `CONFLICT` also when it was never joined.
        """

    async def encrypt(self, encryption: Encryption) -> None:
        """Encrypt and decrypt with these keys from now on, where they are others than before.

        Cancelling is safe; the change is made. Raises `CONFLICT` not connected, `VALIDATION` where
        the room was joined without encryption, or more of it than keys is another.
        """

    async def newest_token(self) -> str:
        """Return what it would reconnect with: the token that it was joined with, or one that the
        server gave since, of which `TokenRefreshed` tells. `CONFLICT` when it was never joined."""

    async def disconnect(self) -> None:
        """Leave, once what the connection still had to tell, its end above all, is delivered;
        idempotent, bounded in time, safe to call while connecting."""

    async def aclose(self) -> None:
        """Leave for good and end everything the room started; idempotent, bounded in time.

        LiveKit's own join to a silent server may outlive it: it is taken back when it ends.
        """

    async def publish(
        self, source: AudioInput | VideoInput, track_source: TrackSource = TrackSource.MICROPHONE
    ) -> TrackPublication:
        """Open `source` and publish it as the track of `track_source`: a camera and a screen take a
        `VideoInput`.

        Cancelling is safe: neither the source stays open nor the track published.
        Raises `FORBIDDEN` at once when the server has not granted it, `CONFLICT` not connected,
        `TIMEOUT`, `VALIDATION` a source that cannot be published, or what `source.open` raises.
        """

    async def unpublish(self, track_sid: str) -> None:
        """Close the source of a local track and unpublish it."""

    async def replace(self, track_sid: str, source: VideoInput) -> None:
        """Feed a local track of pictures from another source, without a new track.

        It is opened before the one it had is closed; while the track is muted, when that ends.
        Cancelling is safe: the change goes on. Raises `VALIDATION` for a track of sound, or what
        `source.open` raises: the one it had goes on then.
        """

    async def set_muted(self, track_sid: str, muted: bool) -> None:
        """Mute or unmute a local track.

        A source of sound goes on, so timing is kept; one of pictures is closed and opened anew,
        and if that fails the track ends with `LocalTrackFailed`.
        """

    async def send_data(
        self,
        data: bytes,
        *,
        reliable: bool = True,
        topic: str = "",
        to: Sequence[str] | None = None,
    ) -> None:
        """Send a data message to everybody, or to the identities in `to`; order is kept.

        What is sent at once waits its turn; the time it may take counts from when LiveKit has it.
        Raises `VALIDATION` over the size limit, no bytes, or a bare string for `to`; `FORBIDDEN`
        data not granted; `CONFLICT` not connected, or `LEFT` before it was handed over; `TIMEOUT`
        when it is not known whether it was sent.
        """

    async def describe(self, description: SelfDescription) -> None:
        """Change what this client says of itself, for everybody; told as the server's events.

        One after the other, in order. Cancelling is safe; it may have been changed. Raises
        `FORBIDDEN` at once when the server has not granted it, `CONFLICT` not connected, or `LEFT`
        meanwhile; `VALIDATION` or `SERVER` what the server refuses; `TIMEOUT`.
        """

    async def call(self, request: MethodRequest) -> str:
        """Call a method of somebody else's, and return the answer.

        Cancelling is safe; the method may have been called. Raises `MethodFailed` what it raised;
        `NOT_FOUND` nobody serves it; `TIMEOUT`; `VALIDATION` too large for the other side;
        `FORBIDDEN` data not granted; `CONFLICT` not connected, or `LEFT` meanwhile.
        """

    def serve(self, method: str, sink: InvocationSink) -> Callable[[], None]:
        """Deliver calls of a method that nobody else serves here to `sink`, in this connection and
        those that follow; call the result to stop."""

    async def answer(self, number: int, reply: Reply) -> None:
        """Answer a call; nothing when nobody waits for it any more."""

    def receive_streams(self, topic: str, is_text: bool, sink: TransferSink) -> Callable[[], None]:
        """Deliver the texts, or the files, that others send on a topic to `sink`, in this
        connection and those that follow; call the result to stop, which ends none that has
        begun."""

    async def drop_stream(self, number: int) -> None:
        """Deliver no more of what comes, nor its end."""

    async def open_stream(self, header: TransferHeader) -> int:
        """Begin to send a text or a file; return what `write_stream` and `end_stream` take.

        Raises `FORBIDDEN` data not granted, `CONFLICT` not connected, or `LEFT` meanwhile;
        `NETWORK`; `TIMEOUT`, as the others do. Cancelling any of them is safe: what is not
        ended fails for who receives it.
        """

    async def write_stream(self, number: int, data: bytes) -> None:
        """Send the next part; of a text UTF-8, whole characters."""

    async def end_stream(self, number: int, reason: str) -> None:
        """End it: whole, or failed where there is a reason, which its receivers are told."""

    async def publish_data_track(self, name: str) -> int:
        """Publish a data track, in this connection; return what the other two take.

        Raises `VALIDATION` no name; `FORBIDDEN` data not granted; `CONFLICT` not connected, `LEFT`
        meanwhile, or `ALREADY` published; `RATE_LIMITED` no more of them; `TIMEOUT`. Cancelling is
        safe: it is not published.
        """

    async def push_data_frame(self, number: int, frame: DataTrackFrame) -> None:
        """Send a frame to whoever receives the track; nobody is told of one that gets lost.

        Raises `VALIDATION` too large, or empty; `RATE_LIMITED` when more wait than LiveKit takes:
        it is not sent; `CONFLICT`, `LEFT`, when the track is not published any more.
        """

    async def unpublish_data_track(self, number: int) -> None:
        """Publish it no more."""

    async def read_data_track(self, track_sid: str, sink: DataFramesSink) -> int:
        """Deliver the frames of a remote data track to `sink`, until it ends or `unread_data_track`
        of what this returns; raise `NOT_FOUND` for any other track."""

    async def unread_data_track(self, reading: int) -> None:
        """Deliver no more frames, from when this has returned."""

    async def set_subscribed(self, track_sid: str, subscribed: bool) -> None:
        """Receive a remote track from now on, or not; the last word counts, of several at once.

        What becomes of it is told by events. Raises `CONFLICT` not connected.
        """

    async def hear(self, track_sid: str, sink: FramesSink) -> int:
        """Deliver the frames of a subscribed remote track to `sink` until its end, or `unhear` of
        what this returns, over a full reconnect as well; raise `NOT_FOUND` for any other track."""

    async def unhear(self, reception: int) -> None:
        """Deliver no more frames, from when this has returned."""

    async def route(
        self, track_sid: str, speaker: DeviceKey, *, name: str = "", gain: float = 1.0
    ) -> int:
        """Play a subscribed remote track on `speaker`, where the room lives, until `unroute`.

        The `name` is for messages, the `gain` from 0 to 4. Returns what `set_gain` and `unroute`
        take; raises `NOT_FOUND` when no such track is subscribed or no such speaker lives there.
        """

    async def set_gain(self, route: int, gain: float) -> None:
        """Play a route louder or softer, without a click."""

    async def unroute(self, route: int) -> None:
        """Play the track no more."""

    async def look(
        self, track_sid: str, sink: PicturesSink, *, max_height: int | None = None
    ) -> int:
        """Show the frames of a subscribed remote video to `sink`, until its end or `unlook` of what
        this returns, over a full reconnect as well.

        Who looks is served the smallest size that is published and has about `max_height` rows,
        or more for who else looks; None is the largest. However many look, a track is pulled and
        decoded once; in a room with adaptive stream, only while somebody looks.

        Raises `NOT_FOUND` for any other track, `VALIDATION` a height that is none.
        """

    async def unlook(self, view: int) -> None:
        """Show no more frames, from when this has returned."""

    async def statistics(self) -> RoomStatistics:
        """Measure how media gets through: what happened since the look before this one.

        The first look at a track counts from its beginning. Cancelling is safe. Raises `CONFLICT`
        not connected, or `LEFT` meanwhile; `TIMEOUT`.
        """
