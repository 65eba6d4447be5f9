"""`NearRoom`: a room port in the app, of a room that lives in the media process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final
from weakref import WeakValueDictionary

from utd_rx.errors import ConflictReason, conflict
from utd_rx.media.frames import FrameReader
from utd_rx.media.loop_reader import LoopReader
from utd_rx.media.near import Near, NearEnd, TakeBack
from utd_rx.media.pictures import PictureReader
from utd_rx.models.events import RoomSnapshot
from utd_rx.ports.methods import InvocationSink, method_name
from utd_rx.ports.room import FramesSink, PicturesSink
from utd_rx.ports.transfers import (
    TransferBegan,
    TransferEnded,
    TransferNews,
    TransferSink,
    topic_name,
)


class NearRoom(Near):
    """What of it is known here: which methods are served, and which topics received."""

    undo: ClassVar[Mapping[str, TakeBack]] = {
        "publish": lambda args, track: ("unpublish", (track.sid,)),
        "hear": lambda args, reception: ("unhear", (reception,)),
        "look": lambda args, view: ("unlook", (view,)),
        "route": lambda args, route: ("unroute", (route,)),
        "publish_data_track": lambda args, number: ("unpublish_data_track", (number,)),
        "read_data_track": lambda args, reading: ("unread_data_track", (reading,)),
        "open_stream": lambda args, number: ("end_stream", (number, "cancelled")),
    }

    heard_out: ClassVar[frozenset[str]] = frozenset(["receive_streams"])

    ends: ClassVar[frozenset[str]] = frozenset(["disconnect", "aclose"])

    def __init__(self, end: NearEnd, number: int, shape: type) -> None:
        super().__init__(end, number, shape)
        self._held: Final[set[object]] = set()
        self._leaves = 0
        # Of those that go on; the end keeps them.
        self._readers: Final = WeakValueDictionary[int, LoopReader[Any]]()

    async def connect(self, *args: Any, **kwargs: Any) -> RoomSnapshot:
        """See `RoomPort.connect`."""
        return await self._join("connect", args, kwargs)

    async def reconnect(self, *args: Any, **kwargs: Any) -> RoomSnapshot:
        """See `RoomPort.reconnect`."""
        return await self._join("reconnect", args, kwargs)

    async def _join(self, method: str, args: Any, kwargs: Any) -> RoomSnapshot:
        leaves = self._leaves

        def undo(args: Any, snapshot: Any) -> tuple[str, tuple[()]] | None:
            # Once it was left, whatever is joined is another call's.
            return ("disconnect", ()) if leaves == self._leaves else None

        joined = await self._end.call_afresh(self._number, method, args, kwargs, undo)
        snapshot: RoomSnapshot = joined
        return snapshot

    async def disconnect(self) -> None:
        """See `RoomPort.disconnect`."""
        self._leaves += 1
        await self._call("disconnect")

    def serve(self, method: str, sink: InvocationSink) -> Callable[[], None]:
        """See `RoomPort.serve`; raises as `UTDRoom` does."""
        return self._hold(method_name(method), "serve", method, sink)

    def receive_streams(self, topic: str, is_text: bool, sink: TransferSink) -> Callable[[], None]:
        """See `RoomPort.receive_streams`; raises as `UTDRoom` does."""
        begun, is_over = set[int](), False

        def take(news: TransferNews) -> None:
            if isinstance(news, TransferBegan) and not is_over:
                begun.add(news.number)
            if news.number in begun:
                sink(news)
            if isinstance(news, TransferEnded):
                begun.discard(news.number)

        end = self._hold((topic_name(topic), is_text), "receive_streams", topic, is_text, take)

        def stop() -> None:
            nonlocal is_over
            is_over = True  # what begins before the far side knows is none of it
            end()

        return stop

    async def aclose(self) -> None:
        """See `RoomPort.aclose`."""
        try:
            await self._call("aclose")
        finally:
            self._end.release(self._number)

    @property
    def unread(self) -> int:
        """Slots of sound, of all that crosses to this process or from it, that came faster than
        they were read."""
        return self._end.unread

    async def hear(self, track_sid: str, sink: FramesSink) -> int:
        """See `RoomPort.hear`."""
        return await self._read("hear", FrameReader(sink), track_sid)

    async def look(
        self, track_sid: str, sink: PicturesSink, *, max_height: int | None = None
    ) -> int:
        """See `RoomPort.look`."""
        return await self._read("look", PictureReader(sink), track_sid, max_height=max_height)

    async def unhear(self, reception: int) -> None:
        """See `RoomPort.unhear`."""
        await self._unread("unhear", reception)

    async def unlook(self, view: int) -> None:
        """See `RoomPort.unlook`."""
        await self._unread("unlook", view)

    async def _read(self, method: str, reader: LoopReader[Any], sid: str, **more: object) -> int:
        try:
            number: int = await self._call(method, sid, reader, **more)
        except BaseException:
            reader.stop()
            raise
        self._readers[number] = reader
        return number

    async def _unread(self, method: str, number: int) -> None:
        if (reader := self._readers.pop(number, None)) is not None:
            reader.stop()
        await self._call(method, number)

    def _hold(self, key: object, method: str, name: str, *args: object) -> Callable[[], None]:
        """Listen once for each key."""
        if key in self._held:
            done = "served" if method == "serve" else "received"
            raise conflict(ConflictReason.ALREADY, f"{name!r} is {done} already.")
        end = self._tell(method, name, *args)
        self._held.add(key)

        stopping = iter([key])

        def stop() -> None:
            for key in stopping:  # once: it may be held by a later one
                self._held.discard(key)
                end()

        return stop
