"""`UTDRoom`: a media room over LiveKit, in which LiveKit's sharp edges are gone.

What it absorbs, and where (the numbers are those of facts/livekit.md §3): a join that cannot be
cancelled (D1, `connector`), rooms that cannot be used twice (D2, here), tracks the server takes
silently and publications that never answer (D3–D5, `publisher`), audio streams that lose frames,
leak or saturate the loop (D7, D8, D13, `receiver` and `ffi`), native aborts (D9, `feeder`),
listeners that starve each other and events that come twice or never (D10–D12, `connection` and
`translate`), and departures that did not happen (`hold`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen
from reactivex import Observable

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioInput, FrameSink
from utd_rx.models.events import RoomEvent, RoomSnapshot, TokenRefreshed
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.rtc import native
from utd_rx.rtc.connection import Connection
from utd_rx.rtc.connector import Connector
from utd_rx.rtc.microphone import MicrophoneSwitch
from utd_rx.rtc.port import EventSink
from utd_rx.rtc.receiver import Reception
from utd_rx.rtc.values import permission_of
from utd_rx.state.events import EventStream

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

MAX_DATA: Final = 63_000
"""Bytes of one data message: LiveKit's data channel takes 64,000 with its own header of about 28
and the topic, and refuses more after the fact (facts/livekit.md §2.4)."""

_PER_DESTINATION: Final = 3
"""Bytes each identity it is addressed to takes besides its own: a tag and a length."""

RECEIVE_FORMAT: Final = AudioFormat(48_000, 1)
"""What remote audio is converted to: Opus's own rate, and one channel, as voice is."""


def require_size(data: bytes, topic: str, destination_identities: Sequence[str]) -> None:
    """Check that a data message is small enough to be sent.

    Raises:
        UTDStreamException: `VALIDATION` over `MAX_DATA`.
    """
    addressed = sum(len(who.encode()) + _PER_DESTINATION for who in destination_identities)
    size = len(data) + len(topic.encode()) + addressed
    if size > MAX_DATA:
        raise UTDStreamException(
            f"A data message holds at most {MAX_DATA} bytes with its topic and destinations: "
            f"LiveKit's data channel takes 64,000 including its header. This one has {size}.",
            code=UTDErrorCode.VALIDATION,
        )


@frozen
class _Address:
    url: str
    token: str = field(repr=False)
    auto_subscribe: bool = field(kw_only=True)


class UTDRoom:
    """A media room; connects any number of times, one connection at a time.

    Everything runs on the event loop that `connect` is called on; sinks of audio are called on
    LiveKit's threads.

    Args:
        adaptive_stream: Kept for video, which is not there yet; it changes nothing now.
        dynacast: Do not send video layers that nobody receives.
    """

    def __init__(self, *, adaptive_stream: bool = True, dynacast: bool = True) -> None:
        self.adaptive_stream = adaptive_stream
        self.dynacast = dynacast
        self._sinks: list[EventSink] = []
        self._connector = Connector()
        self._connection: Connection | None = None
        self._address: _Address | None = None
        self._joining: asyncio.Future[None] | None = None
        self._idle = asyncio.Event()
        self._microphone = MicrophoneSwitch()
        self._closed = False
        self._events: EventStream[RoomEvent] = EventStream()

    @property
    def room(self) -> rtc.Room | None:
        """LiveKit's own living room, None while not connected; yours to read, not to change."""
        return None if self._connection is None else self._connection.room

    @property
    def events(self) -> Observable[RoomEvent]:
        """Everything that happens from the moment of subscribing, in order, on the room's loop.

        Completes when the room is closed. An observer that raises is reported and disturbs
        nobody else.
        """
        return self._events

    # -- connection -----------------------------------------------------------------------------

    def listen(self, sink: EventSink) -> Callable[[], None]:
        """Deliver every event from now on to `sink`, in order; call the result to stop."""
        # Its own identity, so that the same sink listens twice when it is passed twice.
        entry: EventSink = lambda event: sink(event)  # noqa: E731
        self._sinks.append(entry)

        def stop() -> None:
            if entry in self._sinks:
                self._sinks.remove(entry)

        return stop

    async def connect(self, url: str, token: str, *, auto_subscribe: bool = True) -> RoomSnapshot:
        """Join; events are delivered from the next turn of the loop on.

        Cancelling is safe: the join is taken back, at the latest when the server answers.

        Raises:
            UTDStreamException: See `connector.RULES`; `TIMEOUT` after `connector.CONNECT_TIMEOUT`;
                `CONFLICT` when connected, connecting, closed, or disconnected meanwhile.
        """
        if self._closed:
            raise UTDStreamException("The room is closed.", code=UTDErrorCode.CONFLICT)
        if self._joining is not None or self._alive() is not None:
            raise UTDStreamException("The room is connected.", code=UTDErrorCode.CONFLICT)
        self._joining = asyncio.get_running_loop().create_future()
        self._idle.clear()
        try:
            if self._connection is not None:
                await self._connection.aclose()  # the one the server ended
            connection = Connection(self._deliver)
            options = native.sdk().RoomOptions(
                auto_subscribe=auto_subscribe, dynacast=self.dynacast
            )
            snapshot = await self._connector.join(
                connection.room, url, token, options, connection.joined, self._joining
            )
        finally:
            self._joining = None
            self._idle.set()
        self._connection = connection
        self._address = _Address(url, token, auto_subscribe=auto_subscribe)
        asyncio.get_running_loop().call_soon(connection.release)
        return snapshot

    async def reconnect(self) -> RoomSnapshot:
        """Join again where it was joined last, after that connection has ended.

        With the newest token the server gave to it: it renews tokens every 5 minutes, and a
        minted one may have expired (facts/livekit.md §1.6). Cancelling is safe, as for `connect`.

        Raises:
            UTDStreamException: As `connect`; `CONFLICT` also when it was never joined.
        """
        if self._address is None:
            raise UTDStreamException("The room was never joined.", code=UTDErrorCode.CONFLICT)
        last = self._address
        return await self.connect(last.url, last.token, auto_subscribe=last.auto_subscribe)

    async def disconnect(self) -> None:
        """Leave; idempotent, bounded in time, safe to call while connecting.

        Cancelling is safe: the leaving goes on.
        """
        if self._joining is not None:
            if not self._joining.done():
                self._joining.set_result(None)
            await self._idle.wait()
        if self._connection is not None:
            await self._connection.aclose()
            self._connection = None
        await self._connector.aclose()

    async def aclose(self) -> None:
        """Leave for good and complete `events`. Idempotent, safe to call concurrently."""
        self._closed = True
        await self.disconnect()
        self._events.close()

    async def __aenter__(self) -> UTDRoom:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # -- publishing -----------------------------------------------------------------------------

    async def publish_audio(
        self,
        source: AudioInput,
        *,
        name: str = "microphone",
        track_source: TrackSource = TrackSource.MICROPHONE,
    ) -> TrackPublication:
        """Open `source` and publish it as a track.

        Cancelling is safe: neither the source stays open nor the track published.

        Raises:
            UTDStreamException: `FORBIDDEN` at once when the server has not granted it,
                `CONFLICT` not connected, `TIMEOUT`, or what `source.open` raises.
        """
        return await self._need().publisher.publish(source, name, track_source)

    async def unpublish(self, track_sid: str) -> None:
        """Close the source of a local track and unpublish it; nothing when there is none."""
        connection = self._alive()
        if connection is not None:
            await connection.publisher.unpublish(track_sid)

    async def set_muted(self, track_sid: str, muted: bool) -> None:
        """Mute or unmute a local track; its source goes on, so timing is kept."""
        connection = self._alive()
        if connection is not None:
            connection.local_mute_changed(track_sid, muted)

    async def set_microphone(self, enabled: bool, source: AudioInput | None = None) -> None:
        """Publish or unmute the microphone, or mute it.

        Calls are carried out one after the other and the last one wins: an intent that was
        overtaken while it waited does nothing. Cancelling is safe.

        Args:
            enabled: Whether to be heard.
            source: What to publish; needed until a microphone is published. Another source than
                the published one replaces it.

        Raises:
            UTDStreamException: `FORBIDDEN` at once when the server has not granted it,
                `VALIDATION` no source to publish, and as `publish_audio`.
        """
        await self._microphone.switch(self._need(), enabled, source)

    async def send_data(
        self,
        data: bytes,
        *,
        reliable: bool = True,
        topic: str = "",
        destination_identities: Sequence[str] | None = None,
    ) -> None:
        """Send a data message to everybody, or to `destination_identities`.

        Cancelling is safe; the message may or may not have been sent.

        Raises:
            UTDStreamException: `VALIDATION` over `MAX_DATA`, `FORBIDDEN` data not granted,
                `CONFLICT` not connected, `TIMEOUT`, `SERVER` LiveKit failed to send.
        """
        connection = self._need()
        require_size(data, topic, destination_identities or ())
        local = connection.room.local_participant
        if not permission_of(local).can_publish_data:
            raise UTDStreamException(
                "The server has not granted sending data.", code=UTDErrorCode.FORBIDDEN
            )
        if destination_identities is not None and not destination_identities:
            return  # LiveKit takes an empty list for everybody
        rtc = native.sdk()
        command = local.publish_data(
            data,
            reliable=reliable,
            topic=topic,
            destination_identities=list(destination_identities or ()),
        )
        try:
            await connection.publisher.run(command, "send data")
        except rtc.participant.PublishDataError as error:
            raise UTDStreamException(
                f"Sending failed: {error.message}.", code=UTDErrorCode.SERVER
            ) from error

    # -- receiving ------------------------------------------------------------------------------

    async def receive_audio(
        self, track_sid: str, sink: FrameSink, *, audio_format: AudioFormat = RECEIVE_FORMAT
    ) -> Reception:
        """Deliver the frames of a subscribed remote track to `sink`, every 10 ms.

        Frames are read-only int16 `(samples, channels)`, `at` is when they arrived. `sink` runs
        on one of LiveKit's threads; what it raises is logged.

        Raises:
            UTDStreamException: `NOT_FOUND` when no such track is subscribed.
        """
        return self._need().receiver.open(track_sid, sink, audio_format)

    # -- shared ---------------------------------------------------------------------------------

    def _alive(self) -> Connection | None:
        connection = self._connection
        return None if connection is None or connection.ended.done() else connection

    def _need(self) -> Connection:
        connection = self._alive()
        if connection is None:
            raise UTDStreamException("The room is not connected.", code=UTDErrorCode.CONFLICT)
        return connection

    def _deliver(self, event: RoomEvent) -> None:
        if isinstance(event, TokenRefreshed) and self._address and self._connection:
            token = native.newest_token(self._connection.room) or self._address.token
            self._address = evolve(self._address, token=token)
        for sink in tuple(self._sinks):
            try:
                sink(event)
            except Exception as error:
                logger.exception("a listener of room events raised")
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a listener of room events raised", "exception": error}
                )
        self._events.emit(event)
