"""The room port: what a session needs of a media room, in values and coroutines only.

`UTDRoom` serves it inline over `livekit.rtc`; a fake serves it for tests; an adapter in a media
process can serve it too, because nothing that crosses it is alive: arguments, results and events
are frozen, small and picklable, and every command is a coroutine (docs/architecture.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from utd_rx.models.audio import AudioInput, AudioInputStream, FrameSink
from utd_rx.models.events import RoomSnapshot
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.ports.room import EventSink


class RoomPort(Protocol):
    """A media room; it connects any number of times, one connection at a time."""

    def listen(self, sink: EventSink) -> Callable[[], None]:
        """Deliver every event from now on to `sink`, in order; call the result to stop."""

    async def connect(self, url: str, token: str, *, auto_subscribe: bool = True) -> RoomSnapshot:
        """Join; the returned snapshot precedes every event that follows it.

        Events that happen before the snapshot is taken are part of it and not delivered.
        Cancelling is safe: no participant stays behind.

        Raises:
            UTDStreamException: `NETWORK` unreachable, `TIMEOUT`, `UNAUTHORIZED` token refused,
                `CONFLICT` already connected, `SERVER` refused by the server, as for a full room.
        """

    async def reconnect(self) -> RoomSnapshot:
        """Join again where it was joined last, after that connection has ended.

        With the newest token the server gave to it: the one it was joined with may have expired.

        Raises:
            UTDStreamException: As `connect`; `CONFLICT` also when it was never joined.
        """

    async def disconnect(self) -> None:
        """Leave; idempotent, bounded in time, safe to call while connecting."""

    async def aclose(self) -> None:
        """Leave for good and end everything the room started; idempotent, bounded in time.

        One thing may outlive it: LiveKit's own join to a server that stays silent cannot be
        ended from outside (defect D1). It is watched and taken back when it ends by itself.
        """

    async def publish_audio(
        self,
        source: AudioInput,
        *,
        name: str = "microphone",
        track_source: TrackSource = TrackSource.MICROPHONE,
    ) -> TrackPublication:
        """Open `source` and publish it as a track.

        One that says `platform` (`utd_rx.models.platform`) gives no frames: its track takes the
        sound from WebRTC's own device module, in the process where the room lives.

        Cancelling is safe: neither the source stays open nor the track published.

        Raises:
            UTDStreamException: `FORBIDDEN` at once when the server has not granted it,
                `CONFLICT` not connected, `TIMEOUT`, or what `source.open` raises.
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
        destination_identities: Sequence[str] | None = None,
    ) -> None:
        """Send a data message to everybody, or to `destination_identities`.

        Raises:
            UTDStreamException: `VALIDATION` over the size limit, `FORBIDDEN` data not granted,
                `CONFLICT` not connected.
        """

    async def receive_audio(self, track_sid: str, sink: FrameSink) -> AudioInputStream:
        """Deliver the frames of a subscribed remote track to `sink`, every 10 ms.

        Raises:
            UTDStreamException: `NOT_FOUND` when no such track is subscribed.
        """
