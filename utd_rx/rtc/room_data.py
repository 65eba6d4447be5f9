"""What `UTDRoom` sends and receives that is no track: messages, methods, texts and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from utd_rx.errors import ConflictReason, conflict
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.ports.data import DataMessage, SelfDescription
from utd_rx.ports.data_tracks import DataFramesSink
from utd_rx.ports.methods import InvocationSink, MethodRequest, Reply, method_name
from utd_rx.ports.one_loop import OneLoop, owned
from utd_rx.ports.transfers import TransferHeader, TransferSink, topic_name
from utd_rx.rtc.live_room import LiveRoom


class RoomData:
    """The part of a room that is no track; what it serves and receives outlasts a connection."""

    def __init__(self) -> None:
        self._owner = OneLoop("room")
        self._live: LiveRoom | None = None
        self._served: dict[str, InvocationSink] = {}
        self._received: dict[tuple[str, bool], TransferSink] = {}

    @owned
    async def send_data(
        self,
        data: bytes,
        *,
        reliable: bool = True,
        topic: str = "",
        to: Sequence[str] | None = None,
    ) -> None:
        """Send a data message, in its turn; see `RoomPort.send_data`.

        Cancelling is safe; the message may or may not be sent.
        """
        message = DataMessage(data, topic=topic, to=to, reliable=reliable)
        await self._need().outbox.send(message)

    @owned
    async def describe(self, description: SelfDescription) -> None:
        """Change what this client says of itself; see `RoomPort.describe`.

        Cancelling is safe; it may have been changed.
        """
        await self._need().describer.describe(description)

    @owned
    async def call(self, request: MethodRequest) -> str:
        """Call a method of somebody else's; see `RoomPort.call`.

        Cancelling is safe; the method may have been called.
        """
        return await self._need().methods.call(request)

    def serve(self, method: str, sink: InvocationSink) -> Callable[[], None]:
        """Deliver calls of a method to `sink`; see `RoomPort.serve`.

        Raises:
            UTDStreamException: `CONFLICT` when it is served already.
        """
        if method_name(method) in self._served:
            raise conflict(ConflictReason.ALREADY, f"{method!r} is served already.")
        self._served[method] = sink
        if live := self._alive():
            live.methods.serve(method, sink)

        def stop() -> None:
            if self._served.get(method) is sink:
                del self._served[method]
                if live := self._alive():
                    live.methods.stop(method)

        return stop

    @owned
    async def answer(self, number: int, reply: Reply) -> None:
        """Answer a call; see `RoomPort.answer`."""
        if live := self._alive():
            live.methods.answer(number, reply)

    def receive_streams(self, topic: str, is_text: bool, sink: TransferSink) -> Callable[[], None]:
        """Deliver texts or files of a topic to `sink`; see `RoomPort.receive_streams`.

        Raises:
            UTDStreamException: `CONFLICT` when they are received already.
        """
        key = topic_name(topic), is_text
        if key in self._received:
            raise conflict(ConflictReason.ALREADY, f"{topic!r} is received already.")
        self._received[key] = sink
        if live := self._alive():
            live.streams.receive(*key, sink)

        def stop() -> None:
            if self._received.get(key) is sink:
                del self._received[key]
                if live := self._alive():
                    live.streams.stop(*key)

        return stop

    @owned
    async def drop_stream(self, number: int) -> None:
        """Deliver no more of what comes; see `RoomPort.drop_stream`."""
        if live := self._alive():
            live.streams.drop(number)

    @owned
    async def open_stream(self, header: TransferHeader) -> int:
        """Begin to send a text or a file; see `RoomPort.open_stream`. Cancelling is safe."""
        return await self._need().streams.open(header)

    @owned
    async def write_stream(self, number: int, data: bytes) -> None:
        """Send the next part; see `RoomPort.write_stream`. Cancelling is safe."""
        await self._need().streams.write(number, data)

    @owned
    async def end_stream(self, number: int, reason: str) -> None:
        """End it; see `RoomPort.end_stream`. Cancelling is safe."""
        if live := self._alive():
            await live.streams.end(number, reason)

    @owned
    async def publish_data_track(self, name: str) -> int:
        """Publish a data track; see `RoomPort.publish_data_track`. Cancelling is safe."""
        return await self._need().data_tracks.publish(name)

    @owned
    async def push_data_frame(self, number: int, frame: DataTrackFrame) -> None:
        """Send a frame; see `RoomPort.push_data_frame`."""
        self._need().data_tracks.push(number, frame)

    @owned
    async def unpublish_data_track(self, number: int) -> None:
        """Publish it no more; see `RoomPort.unpublish_data_track`."""
        if live := self._alive():
            await live.data_tracks.unpublish(number)

    @owned
    async def read_data_track(self, track_sid: str, sink: DataFramesSink) -> int:
        """Deliver the frames of a remote data track; see `RoomPort.read_data_track`."""
        return self._need().data_tracks.read(track_sid, sink)

    @owned
    async def unread_data_track(self, reading: int) -> None:
        """Deliver no more frames; see `RoomPort.unread_data_track`."""
        if live := self._alive():
            await live.data_tracks.unread(reading)

    # -- shared ---------------------------------------------------------------------------------

    def _begin_data(self, live: LiveRoom) -> None:
        """Serve and receive in a new connection what was so before."""
        for method, sink in self._served.items():
            live.methods.serve(method, sink)
        for key, take in self._received.items():
            live.streams.receive(*key, take)

    def _alive(self) -> LiveRoom | None:
        return None if self._live is None or self._live.ended.done() else self._live

    def _need(self) -> LiveRoom:
        live = self._alive()
        if live is None:
            raise conflict(ConflictReason.NOT_JOINED, "The room is not connected.")
        return live
