"""`UTDRoom`: a media room over LiveKit, in which LiveKit's sharp edges are gone.

What it absorbs, and where: docs/livekit.md, "Absorbed". A room of LiveKit's cannot be used twice,
so each connection is a `LiveRoom` of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import evolve
from reactivex import Observable

from utd_rx.errors import ConflictReason, conflict, invalid
from utd_rx.models.audio import AudioInput
from utd_rx.models.checks import flag
from utd_rx.models.devices import CameraChoice, DeviceKey
from utd_rx.models.encryption import Encryption
from utd_rx.models.events import RoomEvent, RoomSnapshot, TokenRefreshed
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.models.statistics import RoomStatistics
from utd_rx.models.video import VideoInput
from utd_rx.ports.one_loop import owned
from utd_rx.ports.proxy import DIRECT, Proxies, is_clear_text
from utd_rx.ports.room import EventSink, FramesSink, PicturesSink, height_asked
from utd_rx.protocol.wire.reading import parse_object
from utd_rx.protocol.wire.tokens import MAX_CREDENTIAL
from utd_rx.rtc import native
from utd_rx.rtc.connector import Address, Connector
from utd_rx.rtc.live_room import LiveRoom
from utd_rx.rtc.room_data import RoomData
from utd_rx.state.events import EventStream
from utd_rx.state.reports import report

if TYPE_CHECKING:
    from livekit import rtc


class UTDRoom(RoomData):
    """A media room; connects any number of times, one connection at a time.

    Everything runs on the event loop of the first command; on another one a command raises
    `CONFLICT`, foreign loop.

    Args:
        adaptive_stream: Do not pull a remote video that nobody looks at, and of the others no more
            than who looks asks for (docs/video.md, "Adaptive stream").
        dynacast: Do not encode and send video layers that nobody pulls.
        proxies: The way to the media server; directly by default, whatever the environment says.
            All rooms of a process that are joined at a time go one way (`rtc.way`).
        allow_clear_text: Join by `ws://` and `http://` on other machines, too, where everybody on
            the way may read the token: on a network of your own.
    """

    def __init__(
        self,
        *,
        adaptive_stream: bool = True,
        dynacast: bool = True,
        proxies: Proxies = DIRECT,
        allow_clear_text: bool = False,
    ) -> None:
        super().__init__()
        self.adaptive_stream = flag(adaptive_stream, "adaptive_stream")
        self.dynacast = flag(dynacast, "dynacast")
        self._proxies = proxies
        self._allow_clear_text = flag(allow_clear_text, "allow_clear_text")
        self._sinks: dict[object, EventSink] = {}
        self._connector = Connector()
        self._address: Address | None = None
        self._joining: asyncio.Future[None] | None = None
        self._idle = asyncio.Event()
        self._closed = False
        self._events: EventStream[RoomEvent] = EventStream()

    def __repr__(self) -> str:
        if self._closed:
            return "<UTDRoom closed>"
        room = self.room
        if room is None:
            return "<UTDRoom not connected>"
        return f"<UTDRoom {room.name!r} as {room.local_participant.identity!r}>"

    @property
    def room(self) -> rtc.Room | None:
        """LiveKit's own living room, None while not connected; yours to read, not to change."""
        live = self._alive()
        return None if live is None else live.room

    @property
    def has_pictures(self) -> bool:
        """Whether pictures may be coded now: any are published, or looked at."""
        live = self._alive()
        return live is not None and (live.publisher.has_pictures or live.receiver.has_pictures)

    @property
    def video_effects_entitled(self) -> bool:
        """Whether the engine entitles this client to video effects: `videoEffects` of its own
        metadata (docs/contract.md, "Metadata"). False while not connected."""
        live = self._alive()
        told = None if live is None else parse_object(live.room.local_participant.metadata)
        return (told or {}).get("videoEffects") is True

    @property
    def events(self) -> Observable[RoomEvent]:
        """Everything that happens from the moment of subscribing, in order, on the room's loop.

        Completes when the room is closed. An observer that raises is reported and disturbs
        nobody else.
        """
        return self._events

    # -- connection -----------------------------------------------------------------------------

    def listen(self, sink: EventSink) -> Callable[[], None]:
        """Deliver every event from now on to `sink`, in order; call the result to stop.

        What one turn of the loop brought is one delivery.
        """
        if self._live is not None:
            self._live.deliver()  # what was before
        key = object()  # the same sink listens twice when it is passed twice
        self._sinks[key] = sink

        def stop() -> None:
            self._sinks.pop(key, None)

        return stop

    @owned
    async def connect(
        self,
        url: str,
        token: str,
        *,
        auto_subscribe: bool = True,
        encryption: Encryption | None = None,
    ) -> RoomSnapshot:
        """Join; events are delivered from the next turn of the loop on.

        Cancelling is safe: the join is taken back, at the latest when the server answers.

        Raises:
            UTDStreamException: See `connector.classify`; `VALIDATION` for a url in clear text to
                another machine and for a token without end; `TIMEOUT` after
                `connector.CONNECT_TIMEOUT`; `CONFLICT` when connected, connecting, closed, or
                disconnected meanwhile.
        """
        if self._closed:
            raise conflict(ConflictReason.CLOSED, "The room is closed.")
        if self._joining is not None or self._alive() is not None:
            raise conflict(ConflictReason.ALREADY, "The room is connected.")
        if len(token) > MAX_CREDENTIAL:
            raise invalid(f"The token has more than {MAX_CREDENTIAL:,} characters: fetch another.")
        if is_clear_text(url) and not self._allow_clear_text:
            raise invalid(
                "The media server's url is not wss:// though it is another machine, so the token "
                "would go there in clear; on a network of your own pass allow_clear_text=True."
            )
        self._joining = asyncio.get_running_loop().create_future()
        self._idle.clear()
        try:
            if self._live is not None:
                await self._live.aclose()  # the one the server ended
            await native.ready()
            live = LiveRoom(
                self._deliver, adaptive_stream=self.adaptive_stream, encryption=encryption
            )
            way = self._proxies.for_url(url)
            address = Address(url, token, auto_subscribe, self.dynacast, way, encryption)
            snapshot = await self._connector.join(live.room, address, live.joined, self._joining)
            await live.begin()
        finally:
            self._joining = None
            self._idle.set()
        self._live, self._address = live, address
        self._begin_data(live)
        asyncio.get_running_loop().call_soon(live.release)
        return snapshot

    @owned
    async def reconnect(
        self, token: str | None = None, *, encryption: Encryption | None = None
    ) -> RoomSnapshot:
        """Join again where it was joined last; see `RoomPort.reconnect`.

        Without a `token` it is the newest that the server gave: it renews them every 5 minutes,
        and a minted one may have expired (docs/livekit.md, "Tokens").
        """
        last = self._joined_last()
        return await self.connect(
            last.url,
            token or last.token,
            auto_subscribe=last.auto_subscribe,
            encryption=encryption or last.encryption,
        )

    @owned
    async def encrypt(self, encryption: Encryption) -> None:
        """Encrypt and decrypt with these keys from now on; see `RoomPort.encrypt`."""
        live, address = self._need(), self._address
        live.cryptors.check(encryption)
        if address is not None:
            self._address = evolve(address, encryption=encryption)
        await live.encrypt(encryption)

    @owned
    async def newest_token(self) -> str:
        """Return the token that it would reconnect with; see `RoomPort.newest_token`."""
        return self._joined_last().token

    @owned
    async def disconnect(self) -> None:
        """Leave; idempotent, bounded in time, safe to call while connecting.

        Cancelling is safe: the leaving goes on.
        """
        if self._joining is not None:
            if not self._joining.done():
                self._joining.set_result(None)
            await self._idle.wait()
        if self._live is not None:
            await self._live.aclose()
            self._live = None
        await self._connector.aclose()

    @owned
    async def aclose(self) -> None:
        """Leave for good and complete `events`. Idempotent, safe to call concurrently."""
        self._closed = True
        await self.disconnect()
        self._events.close()

    async def __aenter__(self) -> UTDRoom:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # -- tracks, data and sound: what is not connected any more has nothing to end ----------------

    @owned
    async def publish(
        self, source: AudioInput | VideoInput, track_source: TrackSource = TrackSource.MICROPHONE
    ) -> TrackPublication:
        """Open `source` and publish it; see `RoomPort.publish`."""
        return await self._need().publisher.publish(source, track_source)

    @owned
    async def unpublish(self, track_sid: str) -> None:
        """Close the source of a local track and unpublish it; nothing when there is none."""
        if live := self._alive():
            await live.publisher.unpublish(track_sid)

    @owned
    async def replace(self, track_sid: str, source: VideoInput) -> None:
        """Feed a local track of pictures from another source; see `RoomPort.replace`."""
        if live := self._alive():
            await live.publisher.replace(track_sid, source)

    @owned
    async def set_muted(self, track_sid: str, muted: bool) -> None:
        """Mute or unmute a local track; see `RoomPort.set_muted`."""
        if live := self._alive():
            live.set_muted(track_sid, muted)

    @owned
    async def set_microphone(self, enabled: bool, source: AudioInput | None = None) -> None:
        """Publish or unmute the microphone, or mute it.

        Calls are carried out one after the other and the last one wins: an intent that was
        overtaken while it waited does nothing. Cancelling is safe.

        Args:
            enabled: Whether to be heard.
            source: What to publish; needed until a microphone is published. Another source than
                the published one replaces it.

        Raises:
            UTDStreamException: `VALIDATION` no source to publish, and as `publish`.
        """
        await self._need().switch(TrackSource.MICROPHONE, enabled, source)

    @owned
    async def set_camera(self, enabled: bool, source: VideoInput | None = None) -> None:
        """Publish or unmute the camera, or mute it; as `set_microphone` in all else.

        While it is muted its source is closed.
        """
        await self._need().switch(TrackSource.CAMERA, enabled, source)

    @owned
    async def set_screen_share(self, enabled: bool, source: VideoInput | None = None) -> None:
        """Publish the screen, or take it down; as `set_microphone` in all else.

        What was taken down needs its `source` again.
        """
        await self._need().switch(TrackSource.SCREEN_SHARE, enabled, source)

    @owned
    async def switch_camera(self, to: VideoInput | CameraChoice = None) -> VideoInput:
        """Go on with another camera on the same track, and return what it is now.

        Args:
            to: A camera, its id, its name or a part of it; None is the next of `list_cameras()`
                after the one that is published. Any other `VideoInput` is taken as well.

        Raises:
            UTDStreamException: `CONFLICT` not connected; `VALIDATION` no camera is published, or
                what is, is no `Camera` that knows others; `NOT_FOUND` no such one, or no other;
                or why it does not open: the one before goes on then.

        Cancelling is safe: the change is made, or not.
        """
        return await self._need().switch_camera(to)

    @owned
    async def set_subscribed(self, track_sid: str, subscribed: bool) -> None:
        """Receive a remote track, or not; see `RoomPort.set_subscribed`."""
        self._need().wishes.wish(track_sid, subscribed)

    @owned
    async def hear(self, track_sid: str, sink: FramesSink) -> int:
        """Deliver the frames of a remote track to `sink`, in batches; see `RoomPort.hear`.

        Frames are read-only int16 `(samples, channels)`, `at` is when they arrived.
        """
        return self._need().receiver.hear(track_sid, sink)

    @owned
    async def unhear(self, reception: int) -> None:
        """Deliver no more frames; see `RoomPort.unhear`. When cancelled, it ends all the same."""
        if self._live is not None:
            await self._live.receiver.close(reception)

    @owned
    async def route(
        self, track_sid: str, speaker: DeviceKey, *, name: str = "", gain: float = 1.0
    ) -> int:
        """Play a remote track on a speaker of this process; see `RoomPort.route`.

        Frames go from LiveKit's thread into the speaker's mix; the loop takes no part.
        """
        return self._need().receiver.route(track_sid, speaker, name, gain)

    @owned
    async def set_gain(self, route: int, gain: float) -> None:
        """Play a route louder or softer, without a click; nothing when it is over already."""
        if self._live is not None:
            self._live.receiver.set_gain(route, gain)

    @owned
    async def unroute(self, route: int) -> None:
        """Play the track no more; nothing when it is over already."""
        await self.unhear(route)

    @owned
    async def look(
        self, track_sid: str, sink: PicturesSink, *, max_height: int | None = None
    ) -> int:
        """Show a remote track to `sink`, the newest frame; see `RoomPort.look`.

        Frames are read-only uint8 RGB `(height, width, 3)`, `timestamp` is when they arrived. They
        are decoded and copied on LiveKit's threads, once for all who look.
        """
        return self._need().receiver.look(track_sid, sink, height_asked(max_height))

    @owned
    async def unlook(self, view: int) -> None:
        """Show it no more; see `RoomPort.unlook`. When cancelled, it ends all the same."""
        await self.unhear(view)

    @owned
    async def statistics(self) -> RoomStatistics:
        """Measure how media gets through; see `RoomPort.statistics`."""
        return await self._need().statistics.look()

    # -- shared ---------------------------------------------------------------------------------

    def _joined_last(self) -> Address:
        if self._address is None:
            raise conflict(ConflictReason.NOT_JOINED, "The room was never joined.")
        return self._address

    def _deliver(self, events: tuple[RoomEvent, ...]) -> None:
        if TokenRefreshed() in events and self._address and self._live:
            token = native.newest_token(self._live.room) or self._address.token
            self._address = evolve(self._address, token=token)
        for sink in tuple(self._sinks.values()):
            try:
                sink(events)
            except BaseException as error:  # noqa: BLE001 - reported, or an interrupt and raised
                report(error, "a listener of room events")
        for event in events:
            self._events.emit(event)
