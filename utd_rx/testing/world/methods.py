"""Methods between the rooms of a world: calls and answers are data messages of a topic."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from attrs import frozen

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models import events as ev
from utd_rx.models.methods import MethodFailed, MethodInvocation
from utd_rx.ports.data import DataMessage
from utd_rx.ports.methods import InvocationSink, MethodRequest, Reply, method_name
from utd_rx.protocol.wire.methods import failure_from_wire, failure_to_wire

TOPIC: Final = "utd_rx world: methods"


@frozen
class _Asked:
    number: int
    caller: str
    request: MethodRequest


@frozen
class _Answered:
    number: int
    answer: str = ""
    failure: tuple[int, str, str] | None = None


class WorldMethods:
    """The methods of one room, over all its connections; `send` sends a message in the newest."""

    def __init__(self) -> None:
        self._sinks: dict[str, InvocationSink] = {}
        self._open: dict[int, _Asked] = {}
        self._waiting: dict[int, asyncio.Future[_Answered]] = {}
        self._numbers = count(1)

    async def call(
        self,
        request: MethodRequest,
        caller: str,
        send: Callable[[DataMessage], None],
        ended: asyncio.Future[None],
    ) -> str:
        """See `RoomPort`, as for the rest."""
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            send(_message(_Asked(number, caller, request), request.to))
            rivals: list[asyncio.Future[Any]] = [waiting, ended]
            await asyncio.wait(rivals, timeout=request.timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._waiting[number]
        if not waiting.done():
            if ended.done():
                raise conflict(ConflictReason.LEFT, "The connection ended.")
            raise UTDStreamException("Nobody answered in time.", code=UTDErrorCode.TIMEOUT)
        told = waiting.result()
        if told.failure is not None:
            raise failure_from_wire(*told.failure, to=request.to, method=request.method)
        return str(told.answer)

    def serve(self, method: str, sink: InvocationSink) -> Callable[[], None]:
        """See `RoomPort`."""
        if method_name(method) in self._sinks:
            raise conflict(ConflictReason.ALREADY, f"{method!r} is served already.")
        self._sinks[method] = sink
        return lambda: (self._sinks.pop(method, None), None)[1]

    def answer(self, number: int, reply: Reply, send: Callable[[DataMessage], None]) -> None:
        """See `RoomPort`."""
        asked = self._open.pop(number, None)
        if asked is not None:
            said = (
                _Answered(asked.number, reply)
                if isinstance(reply, str)
                else _Answered(asked.number, failure=failure_to_wire(reply))
            )
            send(_message(said, asked.caller))

    def take(self, message: ev.DataReceived, send: Callable[[DataMessage], None]) -> None:
        """Take a message of the topic."""
        told = pickle.loads(message.payload)  # noqa: S301 - our own words
        if isinstance(told, _Answered):
            waiting = self._waiting.get(told.number)
            if waiting is not None and not waiting.done():
                waiting.set_result(told)
            return
        request, number = told.request, next(self._numbers)
        self._open[number] = told
        sink = self._sinks.get(request.method)
        if sink is None:
            self.answer(number, MethodFailed("", number=UNSUPPORTED), send)
        else:
            caller, payload = told.caller, request.payload
            sink(MethodInvocation(number, request.method, caller, payload, request.timeout))


UNSUPPORTED: Final = 1400
"""LiveKit's number for a method that nobody serves."""


def _message(told: _Asked | _Answered, to: str) -> DataMessage:
    return DataMessage(pickle.dumps(told), topic=TOPIC, to=(to,))
