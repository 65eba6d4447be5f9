"""What a `FakeRoom` sends and receives that is no track: messages, methods, texts, data tracks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from attrs import evolve

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models import events as ev
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.ports.data import DataMessage, SelfDescription
from utd_rx.ports.data_tracks import DataFramesSink
from utd_rx.ports.methods import InvocationSink, MethodRequest, Reply
from utd_rx.ports.transfers import TransferHeader, TransferSink
from utd_rx.protocol.roster import Roster
from utd_rx.testing.fake_data_tracks import FakeDataTracks
from utd_rx.testing.fake_methods import FakeMethods
from utd_rx.testing.fake_transfers import FakeTransfers


class FakeRoomData:
    """The part of a room that is no track."""

    snapshot: ev.RoomSnapshot
    gate: asyncio.Event

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, str, tuple[str, ...] | None]] = []
        self.methods = FakeMethods()
        self.transfers = FakeTransfers()
        self.data_tracks = FakeDataTracks()

    async def send_data(
        self,
        data: bytes,
        *,
        reliable: bool = True,
        topic: str = "",
        to: Sequence[str] | None = None,
    ) -> None:
        self._require_connected()
        message = DataMessage(data, topic=topic, to=to, reliable=reliable)
        if not self.snapshot.local.permission.can_publish_data:
            raise UTDStreamException("data is not granted", code=UTDErrorCode.FORBIDDEN)
        self.sent.append((message.data, message.topic, message.to))

    async def describe(self, description: SelfDescription) -> None:
        self._require_connected()
        local = self.snapshot.local
        if not local.permission.can_update_metadata:
            raise UTDStreamException("not granted", code=UTDErrorCode.FORBIDDEN)
        said = {**local.attributes, **(description.attributes or {})}
        now = evolve(
            local,
            name=description.name or local.name,
            metadata=description.metadata or local.metadata,
            attributes=FrozenMap((key, value) for key, value in said.items() if value),
        )
        self.snapshot = evolve(self.snapshot, local=now)
        self.emit(*ev.changes(local, now))

    async def call(self, request: MethodRequest) -> str:
        self._require_connected()
        return await self.methods.call(request)

    def serve(self, method: str, sink: InvocationSink) -> Callable[[], None]:
        return self.methods.serve(method, sink)

    async def answer(self, number: int, reply: Reply) -> None:
        self.methods.answer(number, reply)

    def receive_streams(self, topic: str, is_text: bool, sink: TransferSink) -> Callable[[], None]:
        return self.transfers.receive(topic, is_text, sink)

    async def drop_stream(self, number: int) -> None:
        self.transfers.drop(number)

    async def open_stream(self, header: TransferHeader) -> int:
        self._require_connected()
        await self.gate.wait()
        return self.transfers.open(header)

    async def write_stream(self, number: int, data: bytes) -> None:
        self.transfers.write(number, data)

    async def end_stream(self, number: int, reason: str) -> None:
        self.transfers.end(number, reason)

    async def publish_data_track(self, name: str) -> int:
        self._require_connected()
        await self.gate.wait()
        return self.data_tracks.publish(name)

    async def push_data_frame(self, number: int, frame: DataTrackFrame) -> None:
        self._require_connected()
        self.data_tracks.push(number, frame)

    async def unpublish_data_track(self, number: int) -> None:
        self.data_tracks.unpublish(number)

    async def read_data_track(self, track_sid: str, sink: DataFramesSink) -> int:
        known = (track.sid for who in self._seen().participants for track in who.data_tracks)
        if track_sid not in known:
            raise UTDStreamException(f"no {track_sid}", code=UTDErrorCode.NOT_FOUND)
        return self.data_tracks.read(track_sid, sink)

    async def unread_data_track(self, reading: int) -> None:
        self.data_tracks.unread(reading)

    def emit(self, *events: ev.RoomEvent) -> None:
        """Let the server report `events`."""
        raise NotImplementedError

    def _require_connected(self) -> None:
        raise NotImplementedError

    def _seen(self) -> Roster:
        raise NotImplementedError

    def _lose_data(self) -> None:
        self.methods.lose()
        self.transfers.lose()
        self.data_tracks.lose()
