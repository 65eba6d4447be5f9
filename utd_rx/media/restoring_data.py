"""What a `RestoringRoom` sends and receives that is no track: messages, methods, streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from attrs import evolve

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.media import wished as wishes
from utd_rx.media.succession import Succession, unserved
from utd_rx.media.wished import StandingKey, Wished
from utd_rx.models.methods import MethodInvocation
from utd_rx.ports.data import SelfDescription
from utd_rx.ports.methods import InvocationSink, MethodRequest, Reply, method_name
from utd_rx.ports.room import RoomPort
from utd_rx.ports.transfers import (
    TransferBegan,
    TransferEnded,
    TransferHeader,
    TransferNews,
    TransferSink,
    topic_name,
)

T = TypeVar("T")

LIVES: Final = 2**32
"""A room's own number of a call or a stream, of whatever size, and behind it the life that it
belongs to: to the room of another one it means nothing."""


class RestoringData:
    """The part of a room that is no track, and what both parts stand on."""

    def __init__(self, succession: Succession[Any]) -> None:
        self._succession = succession
        self._host: Any = None
        self._far: RoomPort | None = None
        self._is_closed = False
        self._life = 0
        self._wished = Wished()
        self._settled = asyncio.Event()
        self._settled.set()
        self._stops: dict[StandingKey, Callable[[], None]] = {}
        self._coming: dict[int, TransferSink] = {}

    async def send_data(
        self,
        data: bytes,
        *,
        reliable: bool = True,
        topic: str = "",
        to: Sequence[str] | None = None,
    ) -> None:
        """See `RoomPort`, as for the rest; while the room is restored, they wait for that."""
        far = await self._there()
        await far.send_data(data, reliable=reliable, topic=topic, to=to)

    async def describe(self, description: SelfDescription) -> None:
        await self._outlive(lambda far: far.describe(description))
        self._wished = wishes.described(self._wished, description)

    async def call(self, request: MethodRequest) -> str:
        return await (await self._there()).call(request)

    def serve(self, method: str, sink: InvocationSink) -> Callable[[], None]:
        return self._stand(("serve", method_name(method)), sink, f"{method!r} is served already.")

    async def answer(self, number: int, reply: Reply) -> None:
        far = await self._there()
        if number % LIVES == self._life:
            await far.answer(number // LIVES, reply)

    def receive_streams(self, topic: str, is_text: bool, sink: TransferSink) -> Callable[[], None]:
        key = ("receive_streams", topic_name(topic), is_text)
        return self._stand(key, sink, f"{topic!r} is received already.")

    async def drop_stream(self, number: int) -> None:
        far = await self._there()
        self._coming.pop(number, None)
        if number % LIVES == self._life:
            await far.drop_stream(number // LIVES)

    async def open_stream(self, header: TransferHeader) -> int:
        far = await self._there()
        life = self._life
        return await far.open_stream(header) * LIVES + life

    async def write_stream(self, number: int, data: bytes) -> None:
        far = await self._there()
        if number % LIVES != self._life:
            raise conflict(ConflictReason.LEFT, "the connection ended with the media process")
        await far.write_stream(number // LIVES, data)

    async def end_stream(self, number: int, reason: str) -> None:
        far = await self._there()
        if number % LIVES == self._life:
            await far.end_stream(number // LIVES, reason)

    # --- inside ---------------------------------------------------------------------------------

    async def _there(self) -> RoomPort:
        """Return the room of this life, once it is as it was in the one before."""
        while True:
            await self._settled.wait()
            if self._is_closed:
                raise conflict(ConflictReason.CLOSED, "The room is closed.")
            await self._succession.host(lambda: not self._is_closed)
            if self._far is None and not self._is_closed:
                raise unserved()
            if self._far is not None and self._settled.is_set():
                return self._far

    def _lives(self, far: RoomPort) -> bool:
        return self._far is far and self._host.failure is None

    async def _outlive(self, command: Callable[[RoomPort], Coroutine[Any, Any, T]]) -> T:
        """Tell the room of this life what may be told twice; where it dies meanwhile, the next."""
        while True:
            far = await self._there()
            try:
                result = await command(far)
            except UTDStreamException:
                if self._lives(far):
                    raise
            else:
                if self._lives(far):
                    return result
            await asyncio.sleep(0)  # heirs are told of a death behind the calls it has ended

    async def _state(self, command: Callable[[RoomPort], Coroutine[Any, Any, None]]) -> None:
        """Tell the room of this life what is kept already: where it dies, its successor is told."""
        far = self._far
        if far is None:
            return
        try:
            await command(far)
        except UTDStreamException:
            if self._lives(far):
                raise

    def _gone(self) -> UTDStreamException:
        failure = self._succession.failure
        words = "the media process ended" if failure is None else failure.message
        return UTDStreamException(words, code=UTDErrorCode.NETWORK)

    def _stand(
        self, key: StandingKey, sink: Callable[[Any], None], already: str
    ) -> Callable[[], None]:
        if key in self._wished.standing:
            raise conflict(ConflictReason.ALREADY, already)
        self._wished = wishes.stands(self._wished, key, sink)
        self._begin_standing(key, sink)

        stopping = iter([key])

        def stop() -> None:
            for key in stopping:  # once: a later one of the same function is not its own
                self._wished = wishes.stands(self._wished, key, None)
                self._stops.pop(key, lambda: None)()

        return stop

    def _begin_standing(self, key: StandingKey, sink: Callable[[Any], None]) -> None:
        if self._far is not None:
            method, *args = key
            wrapped = self._invoked(sink) if method == "serve" else self._transferred(sink)
            self._stops[key] = getattr(self._far, method)(*args, wrapped)

    def _attach_data(self) -> None:
        """Serve and receive in this life what was so in the one before."""
        self._life += 1
        self._stops.clear()
        for key, sink in self._wished.standing.items():
            self._begin_standing(key, sink)

    def _lose_data(self, failure: UTDStreamException) -> None:
        """End what was coming: it does not come any more."""
        coming, self._coming = self._coming, {}
        for number, sink in coming.items():
            sink(TransferEnded(number, failure))

    def _invoked(self, sink: InvocationSink) -> InvocationSink:
        life = self._life

        def take(invocation: MethodInvocation) -> None:
            sink(evolve(invocation, number=invocation.number * LIVES + life))

        return take

    def _transferred(self, sink: TransferSink) -> TransferSink:
        life = self._life

        def take(news: TransferNews) -> None:
            number = news.number * LIVES + life
            if isinstance(news, TransferBegan):
                self._coming[number] = sink
            elif isinstance(news, TransferEnded):
                self._coming.pop(number, None)
            sink(evolve(news, number=number))

        return take
