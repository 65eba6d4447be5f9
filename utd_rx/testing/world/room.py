"""`WorldRoom`: a media room on a `VirtualSfu`, with the manners of `UTDRoom`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict, invalid
from utd_rx.models.audio import AudioInput
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.models.devices import DeviceKey
from utd_rx.models.encryption import Encryption
from utd_rx.models.events import (
    DataReceived,
    Disconnected,
    ParticipantDisconnected,
    RoomEvent,
    RoomSnapshot,
)
from utd_rx.models.participant import TrackPublication, TrackSource
from utd_rx.models.statistics import RoomStatistics
from utd_rx.models.video import VideoInput
from utd_rx.ports.data import DataMessage, SelfDescription
from utd_rx.ports.data_tracks import DataFramesSink
from utd_rx.ports.methods import InvocationSink, MethodRequest, Reply
from utd_rx.ports.room import EventSink, FramesSink, PicturesSink
from utd_rx.ports.transfers import TransferHeader, TransferSink
from utd_rx.testing.world.connection import WorldConnection
from utd_rx.testing.world.methods import TOPIC, WorldMethods
from utd_rx.testing.world.network import Link
from utd_rx.testing.world.sfu import VirtualSfu
from utd_rx.testing.world.tokens import RoomTicket
from utd_rx.testing.world.transfers import TRANSFERS, WorldTransfers

CONNECT_TIMEOUT: Final = 15.0
"""Seconds for a whole join, as `UTDRoom` gives it."""


class WorldRoom:
    """A media room; implements `RoomPort`, each of whose commands is described there.

    Args:
        sfu: Where it joins, whatever the url says.
        link: The way there.
    """

    def __init__(self, sfu: VirtualSfu, link: Link) -> None:
        self._sfu, self._link = sfu, link
        self._sinks: dict[object, EventSink] = {}
        self._methods = WorldMethods()
        self._transfers = WorldTransfers()
        self._live: WorldConnection | None = None
        self._last: tuple[RoomTicket, bool] | None = None
        self._encryption: Encryption | None = None
        self._joining: asyncio.Future[None] | None = None
        self._idle = asyncio.Event()
        self._numbers = count(1)
        self._is_closed = False

    def listen(self, sink: EventSink) -> Callable[[], None]:
        if self._live is not None:
            self._live.deliver()  # what was before
        key = object()  # the same sink listens twice when it is passed twice
        self._sinks[key] = sink
        return lambda: (self._sinks.pop(key, None), None)[1]

    # -- connection -----------------------------------------------------------------------------

    async def connect(
        self,
        url: str,
        token: str,
        *,
        auto_subscribe: bool = True,
        encryption: Encryption | None = None,
    ) -> RoomSnapshot:
        self._encryption = encryption
        return await self._join(lambda: self._sfu.ticket(token), auto_subscribe)

    async def encrypt(self, encryption: Encryption) -> None:
        live = self._need()
        if self._encryption is None or not self._encryption.differs_in_keys(encryption):
            raise invalid("the room was joined without encryption, or with another kind of it")
        self._encryption = encryption
        live.encrypt(encryption)

    async def reconnect(
        self, token: str | None = None, *, encryption: Encryption | None = None
    ) -> RoomSnapshot:
        ticket, auto_subscribe = self._joined_last()
        self._encryption = encryption or self._encryption
        return await self._join(
            lambda: ticket if token is None else self._sfu.ticket(token), auto_subscribe
        )

    async def newest_token(self) -> str:
        return self._sfu.token(self._joined_last()[0])

    async def disconnect(self) -> None:
        if self._joining is not None:
            if not self._joining.done():
                self._joining.set_result(None)
            await self._idle.wait()
        if (live := self._live) is not None:
            await live.aclose()
            self._forget(live)

    async def aclose(self) -> None:
        self._is_closed = True
        await self.disconnect()

    def _joined_last(self) -> tuple[RoomTicket, bool]:
        """Return the newest ticket, and whether it receives all by itself."""
        if self._last is None:
            raise conflict(ConflictReason.NOT_JOINED, "The room was never joined.")
        last, auto_subscribe = self._last
        return (last if self._live is None else self._live.ticket), auto_subscribe

    async def _join(
        self, read_ticket: Callable[[], RoomTicket], auto_subscribe: bool
    ) -> RoomSnapshot:
        if self._is_closed:
            raise conflict(ConflictReason.CLOSED, "The room is closed.")
        if self._joining is not None or self._alive() is not None:
            raise conflict(ConflictReason.ALREADY, "The room is connected.")
        given_up = self._joining = asyncio.get_running_loop().create_future()
        self._idle.clear()
        try:
            if self._live is not None:
                await self._live.aclose()  # the one the server ended
                self._forget(self._live)
            await self._travel(given_up)
            live = WorldConnection(
                self._sfu,
                self._link,
                read_ticket(),
                self._deliver,
                self._numbers,
                auto_subscribe=auto_subscribe,
                encryption=self._encryption,
            )
            snapshot = live.join()
            try:
                await self._travel(given_up)
            except BaseException:
                live.silence()
                await live.aclose()
                raise
        finally:
            self._joining = None
            self._idle.set()
        self._live, self._last = live, (live.ticket, auto_subscribe)
        asyncio.get_running_loop().call_soon(live.release)
        return snapshot

    async def _travel(self, given_up: asyncio.Future[None]) -> None:
        """Wait for what a join needs to get there, or back; raise when it is given up."""
        trip = asyncio.ensure_future(self._link.trip())
        done, _ = await asyncio.wait(
            [trip, given_up], timeout=CONNECT_TIMEOUT, return_when=asyncio.FIRST_COMPLETED
        )
        trip.cancel()
        if given_up in done:
            raise conflict(ConflictReason.LEFT, "The room was left while it was joined.")
        if not done:
            raise UTDStreamException(
                "Joining failed: the media server did not answer in time.",
                code=UTDErrorCode.TIMEOUT,
            )

    # -- tracks, data and sound: what is not connected any more has nothing to end ----------------

    async def publish(
        self, source: AudioInput | VideoInput, track_source: TrackSource = TrackSource.MICROPHONE
    ) -> TrackPublication:
        return await self._need().local.publish(source, track_source)

    async def unpublish(self, track_sid: str) -> None:
        if live := self._alive():
            await live.local.unpublish(track_sid)

    async def replace(self, track_sid: str, source: VideoInput) -> None:
        if live := self._alive():
            await live.local.replace(track_sid, source)

    async def set_muted(self, track_sid: str, muted: bool) -> None:
        if live := self._alive():
            live.local.set_muted(track_sid, muted)

    async def send_data(
        self,
        data: bytes,
        *,
        reliable: bool = True,
        topic: str = "",
        to: Sequence[str] | None = None,
    ) -> None:
        message = DataMessage(data, topic=topic, to=to, reliable=reliable)
        live = self._need()
        if not live.permission.can_publish_data:
            raise UTDStreamException(
                "The server has not granted sending data.", code=UTDErrorCode.FORBIDDEN
            )
        live.send_data(lambda room, who: room.send_data(who, message))
        await asyncio.sleep(0)

    async def describe(self, description: SelfDescription) -> None:
        live, refusals = self._need(), list[str]()
        if not live.permission.can_update_metadata:
            raise UTDStreamException(
                "The server has not granted it: the token needs canUpdateOwnMetadata.",
                code=UTDErrorCode.FORBIDDEN,
            )
        await live.ask(lambda room, who: room.describe(who, description), refusals.append)
        if refusals[0]:
            raise UTDStreamException(
                f"The server refused the change: {refusals[0]}.", code=UTDErrorCode.VALIDATION
            )

    async def call(self, request: MethodRequest) -> str:
        live = self._need()
        if not live.permission.can_publish_data:
            raise UTDStreamException("Sending data is not granted.", code=UTDErrorCode.FORBIDDEN)
        return await self._methods.call(request, live.identity, self._send, live.ended)

    def serve(self, method: str, sink: InvocationSink) -> Callable[[], None]:
        return self._methods.serve(method, sink)

    async def answer(self, number: int, reply: Reply) -> None:
        self._methods.answer(number, reply, self._send)

    def receive_streams(self, topic: str, is_text: bool, sink: TransferSink) -> Callable[[], None]:
        return self._transfers.receive(topic, is_text, sink)

    async def drop_stream(self, number: int) -> None:
        self._transfers.drop(number)

    async def open_stream(self, header: TransferHeader) -> int:
        live = self._need()
        if not live.permission.can_publish_data:
            raise UTDStreamException("Sending data is not granted.", code=UTDErrorCode.FORBIDDEN)
        return self._transfers.open(header, live.identity, self._sfu.wall(), self._send)

    async def write_stream(self, number: int, data: bytes) -> None:
        self._transfers.write(number, data, self._send)
        await asyncio.sleep(0)

    async def end_stream(self, number: int, reason: str) -> None:
        self._transfers.end(number, reason, self._send)

    async def publish_data_track(self, name: str) -> int:
        return await self._need().data_tracks.publish(name)

    async def push_data_frame(self, number: int, frame: DataTrackFrame) -> None:
        self._need().data_tracks.push(number, frame)
        await asyncio.sleep(0)

    async def unpublish_data_track(self, number: int) -> None:
        if live := self._alive():
            live.data_tracks.unpublish(number)

    async def read_data_track(self, track_sid: str, sink: DataFramesSink) -> int:
        return self._need().data_tracks.read(track_sid, sink)

    async def unread_data_track(self, reading: int) -> None:
        if self._live is not None:
            self._live.data_tracks.unread(reading)

    async def set_subscribed(self, track_sid: str, subscribed: bool) -> None:
        self._need().set_subscribed(track_sid, subscribed)

    async def hear(self, track_sid: str, sink: FramesSink) -> int:
        return self._need().receptions.hear(track_sid, sink)

    async def unhear(self, reception: int) -> None:
        if self._live is not None:
            self._live.receptions.stop(reception)

    async def route(
        self, track_sid: str, speaker: DeviceKey, *, name: str = "", gain: float = 1.0
    ) -> int:
        return self._need().receptions.route(track_sid, speaker, name, gain)

    async def set_gain(self, route: int, gain: float) -> None:
        if self._live is not None:
            self._live.receptions.set_gain(route, gain)

    async def unroute(self, route: int) -> None:
        await self.unhear(route)

    async def look(
        self, track_sid: str, sink: PicturesSink, *, max_height: int | None = None
    ) -> int:
        return self._need().receptions.look(track_sid, sink, max_height)

    async def unlook(self, view: int) -> None:
        await self.unhear(view)

    async def statistics(self) -> RoomStatistics:
        return self._need().statistics()

    # -- shared ---------------------------------------------------------------------------------

    def _alive(self) -> WorldConnection | None:
        return None if self._live is None or self._live.ended.done() else self._live

    def _need(self) -> WorldConnection:
        live = self._alive()
        if live is None:
            raise conflict(ConflictReason.NOT_JOINED, "The room is not connected.")
        return live

    def _forget(self, live: WorldConnection) -> None:
        if self._live is live and self._last is not None:
            self._last = (live.ticket, self._last[1])
            self._live = None

    def _deliver(self, events: tuple[RoomEvent, ...]) -> None:
        told = tuple(event for event in events if not self._is_taken(event))
        for sink in tuple(self._sinks.values()) if told else ():
            sink(told)

    def _is_taken(self, event: RoomEvent) -> bool:
        """Take what is of a method, a text or a file; return whether it is that and no more."""
        match event:
            case DataReceived(topic=topic) if topic == TOPIC:
                self._methods.take(event, self._send)
            case DataReceived(topic=topic) if topic == TRANSFERS:
                self._transfers.take(event)
            case ParticipantDisconnected(identity=identity):
                self._transfers.gone(identity)
                return False
            case Disconnected():
                self._transfers.lose()
                return False
            case _:
                return False
        return True

    def _send(self, message: DataMessage) -> None:
        if live := self._alive():
            live.send_data(lambda room, who: room.send_data(who, message))
