"""The methods of a `FakeRoom`: those that the test serves, and those that it calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.methods import MethodInvocation
from utd_rx.ports.methods import InvocationSink, MethodRequest, Reply, method_name


class FakeMethods:
    """Both sides of the methods of a room.

    Attributes:
        others: The methods that the others serve, all alike, by name.
        called: The calls of others' methods so far.
    """

    def __init__(self) -> None:
        self.others: dict[str, Callable[[MethodRequest], Awaitable[str]]] = {}
        self.called: list[MethodRequest] = []
        self._sinks: dict[str, InvocationSink] = {}
        self._open: dict[int, asyncio.Future[str]] = {}
        self._calls: set[asyncio.Future[str]] = set()
        self._numbers = count(1)

    async def invoke(
        self, method: str, payload: str = "", *, caller: str = "ben", timeout: float = 10.0
    ) -> str:
        """Let `caller` call a method that is served here; raises what it raises."""
        sink = self._sinks.get(method)
        if sink is None:
            raise UTDStreamException(f"nobody serves {method}", code=UTDErrorCode.NOT_FOUND)
        number = next(self._numbers)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        sink(MethodInvocation(number, method, caller, payload, timeout))
        return await answer

    def lose(self) -> None:
        """Let the connection end."""
        for call in (*self._calls, *self._open.values()):
            call.cancel()

    async def call(self, request: MethodRequest) -> str:
        """See `RoomPort`, as for the rest."""
        self.called.append(request)
        method = self.others.get(request.method)
        if method is None:
            raise UTDStreamException("nobody serves it", code=UTDErrorCode.NOT_FOUND)
        call = asyncio.ensure_future(method(request))
        self._calls.add(call)
        try:
            await asyncio.wait([call], timeout=request.timeout)
            if not call.done():
                raise UTDStreamException("no answer", code=UTDErrorCode.TIMEOUT)
            if call.cancelled():
                raise conflict(ConflictReason.LEFT, "The connection ended.")
            return str(call.result())
        finally:
            self._calls.discard(call)
            call.cancel()

    def serve(self, method: str, sink: InvocationSink) -> Callable[[], None]:
        """See `RoomPort`."""
        if method_name(method) in self._sinks:
            raise conflict(ConflictReason.ALREADY, f"{method} is served already")
        self._sinks[method] = sink
        return lambda: (self._sinks.pop(method, None), None)[1]

    def answer(self, number: int, reply: Reply) -> None:
        """See `RoomPort`."""
        answer = self._open.pop(number, None)
        if answer is None or answer.done():
            return
        if isinstance(reply, str):
            answer.set_result(reply)
        else:
            answer.set_exception(reply)
