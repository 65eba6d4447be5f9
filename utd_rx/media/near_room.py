"""`NearRoom`: a room port in the app, of a room that lives in the media process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from utd_rx.errors import ConflictReason, conflict
from utd_rx.media.near import Near, NearEnd, TakeBack
from utd_rx.ports.methods import InvocationSink, method_name
from utd_rx.ports.transfers import TransferSink, topic_name


class NearRoom(Near):
    """What of it is known here: which methods are served, and which topics received."""

    undo: ClassVar[Mapping[str, TakeBack]] = {
        "connect": lambda args, snapshot: ("disconnect", ()),
        "reconnect": lambda args, snapshot: ("disconnect", ()),
        "publish": lambda args, track: ("unpublish", (track.sid,)),
        "hear": lambda args, reception: ("unhear", (reception,)),
        "look": lambda args, view: ("unlook", (view,)),
        "route": lambda args, route: ("unroute", (route,)),
        "open_stream": lambda args, number: ("end_stream", (number, "cancelled")),
    }

    def __init__(self, end: NearEnd, number: int, shape: type) -> None:
        super().__init__(end, number, shape)
        self._held: Final[set[object]] = set()

    def serve(self, method: str, sink: InvocationSink) -> Callable[[], None]:
        """See `RoomPort.serve`; raises as `UTDRoom` does."""
        return self._hold(method_name(method), "serve", method, sink)

    def receive_streams(self, topic: str, is_text: bool, sink: TransferSink) -> Callable[[], None]:
        """See `RoomPort.receive_streams`; raises as `UTDRoom` does."""
        return self._hold((topic_name(topic), is_text), "receive_streams", topic, is_text, sink)

    async def aclose(self) -> None:
        """See `RoomPort.aclose`."""
        try:
            await self._call("aclose")
        finally:
            self._end.release(self._number)

    def _hold(self, key: object, method: str, name: str, *args: object) -> Callable[[], None]:
        """Listen once for each key."""
        if key in self._held:
            done = "served" if method == "serve" else "received"
            raise conflict(ConflictReason.ALREADY, f"{name!r} is {done} already.")
        end = self._tell(method, name, *args)
        self._held.add(key)

        def stop() -> None:
            self._held.discard(key)
            end()

        return stop
