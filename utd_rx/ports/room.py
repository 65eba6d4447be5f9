"""The room port: what a session needs of a media room.

`UTDRoom` serves it inline over `livekit.rtc`, `FakeRoom` for tests; an adapter in a media process
can serve it too. These cross it, and all of them are frozen and picklable:

| | |
| --- | --- |
| in | url, token, sids, identities, payloads, gains; an `AudioInput` *as a value*; speaker keys |
| out | `RoomSnapshot`, `TrackPublication`, `int` handles; batches of `RoomEvent`, of `AudioFrame` |
| errors | `UTDStreamException` |

An `AudioInput` is a description that is opened where the room lives: a file, a tone, an array, the
key of a microphone. Sound that the app does not look at does not pass through it (`route`); what it
looks at comes in batches (`hear`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from utd_rx.models.audio import AudioFrame, AudioInput
from utd_rx.models.devices import DeviceKey
from utd_rx.models.events import RoomEvent, RoomSnapshot
from utd_rx.models.participant import TrackPublication, TrackSource

EventSink: TypeAlias = Callable[[tuple[RoomEvent, ...]], None]
"""Takes what one turn of the room's loop brought, at least one event, on its own loop; never
raises."""

FramesSink: TypeAlias = Callable[[tuple[AudioFrame, ...]], None]
"""Takes the frames that came since the last call, on its own loop; never raises. A second of sound
waits at most: beyond it the oldest frames are dropped."""


class RoomPort(Protocol):
    """A media room; it connects any number of times, one connection at a time.

    `listen` and `hear` take a function of the caller's side; all else that crosses is a value.
    """

    def listen(self, sink: EventSink) -> Callable[[], None]:
        """Deliver everything from now on to `sink`, in order; call the result to stop."""

    async def connect(self, url: str, token: str, *, auto_subscribe: bool = True) -> RoomSnapshot:
        """Join; the returned snapshot precedes every event that follows it.

        Events that happen before the snapshot is taken are part of it and not delivered; those
        after it may be delivered before whoever awaits this has woken up. Nothing of an earlier
        connection is delivered after this was called.
        Cancelling is safe: no participant stays behind.

        Raises:
            UTDStreamException: `NETWORK` unreachable, `TIMEOUT`, `UNAUTHORIZED` token refused,
                `CONFLICT` already connected, `SERVER` refused by the server, as for a full room.
        """

    async def reconnect(self, token: str | None = None) -> RoomSnapshot:
        """Join again where it was joined last, after that connection has ended.

        Args:
            token: A fresh one; None for the newest that the server gave: the one it was joined
                with may have expired.

        Raises:
            UTDStreamException: As `connect`; `CONFLICT` also when it was never joined.
        """

    async def disconnect(self) -> None:
        """Leave; idempotent, bounded in time, safe to call while connecting.

        What the connection still had to tell, its end above all, is delivered before this returns.
        """

    async def aclose(self) -> None:
        """Leave for good and end everything the room started; idempotent, bounded in time.

        One thing may outlive it: LiveKit's own join to a server that stays silent cannot be
        ended from outside. It is watched and taken back when it ends by itself.
        """

    async def publish(
        self, source: AudioInput, track_source: TrackSource = TrackSource.MICROPHONE
    ) -> TrackPublication:
        """Open `source` and publish it as the track of `track_source`.

        Cancelling is safe: neither the source stays open nor the track published.

        Raises:
            UTDStreamException: `FORBIDDEN` at once when the server has not granted it, `CONFLICT`
                not connected, `TIMEOUT`, `VALIDATION` a source that cannot be published, or what
                `source.open` raises.
        """

    async def unpublish(self, track_sid: str) -> None:
        """Close the source of a local track and unpublish it; nothing when there is none."""

    async def set_muted(self, track_sid: str, muted: bool) -> None:
        """Mute or unmute a local track; its source goes on, so timing is kept."""

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

        Raises:
            UTDStreamException: `VALIDATION` over the size limit, no bytes, or a bare string for
                `to`; `FORBIDDEN` data not granted; `CONFLICT` not connected, or `LEFT` before it
                was handed over; `TIMEOUT` when it is not known whether it was sent.
        """

    async def hear(self, track_sid: str, sink: FramesSink) -> int:
        """Deliver the frames of a subscribed remote track to `sink` until `unhear` or its end.

        Returns:
            What `unhear` takes. A reception belongs to the sid: it goes on over a full reconnect.

        Raises:
            UTDStreamException: `NOT_FOUND` when no such track is subscribed.
        """

    async def unhear(self, reception: int) -> None:
        """Deliver no more frames, from when this has returned; nothing when it is over already."""

    async def route(
        self, track_sid: str, speaker: DeviceKey, *, name: str = "", gain: float = 1.0
    ) -> int:
        """Play a subscribed remote track on `speaker`, where the room lives, until `unroute`.

        Args:
            track_sid: Which.
            speaker: The key of a `Speaker`.
            name: Whose voice it is, for messages.
            gain: 0 to 4, 1 for unchanged.

        Returns:
            What `set_gain` and `unroute` take.

        Raises:
            UTDStreamException: `NOT_FOUND` when no such track is subscribed or no such speaker
                lives there.
        """

    async def set_gain(self, route: int, gain: float) -> None:
        """Play a route louder or softer, without a click; nothing when it is over already."""

    async def unroute(self, route: int) -> None:
        """Play the track no more; nothing when it is over already."""
