"""Methods of one connection: those of others that are called, and those that are served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.methods import MethodInvocation
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.methods import InvocationSink, MethodRequest, Reply
from utd_rx.protocol.wire.methods import failure_from_wire, failure_to_wire
from utd_rx.rtc import ffi, native

if TYPE_CHECKING:
    from livekit import rtc

ARRIVAL: Final = 7.0
"""Seconds for LiveKit's own word that a call has arrived; its default."""

RECIPIENT_DISCONNECTED: Final = 1503
"""LiveKit's number for who left before the answer."""

END_TIMEOUT: Final = 1.0
"""Seconds in which native code says that a connection has ended, whose calls it gave up."""


class Methods:
    """One connection's, which is over when `ended` is done; `heard` takes who calls."""

    def __init__(
        self, room: rtc.Room, ended: asyncio.Future[None], heard: Callable[[str], None]
    ) -> None:
        self._heard = heard
        self._room = room
        self._ended = ended
        self._open: dict[int, asyncio.Future[str]] = {}

    async def call(self, request: MethodRequest) -> str:
        """See `RoomPort.call`."""
        local = self._room.local_participant
        if not local.permissions.can_publish_data:
            raise UTDStreamException(
                "The server has not granted sending data, which calls are.",
                code=UTDErrorCode.FORBIDDEN,
            )
        asked = ffi.method_request(local, request, min(ARRIVAL, request.timeout))
        asking = asyncio.ensure_future(ffi.ask(asked))
        try:
            rivals: list[asyncio.Future[Any]] = [asking, self._ended]
            await asyncio.wait(rivals, timeout=request.timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asking.cancel()
        answer = None if not asking.done() or asking.cancelled() else asking.result()
        if answer is not None and answer.error.code == RECIPIENT_DISCONNECTED:
            # Native code says so of its own end, too, and before it says that it has ended.
            await asyncio.wait([self._ended], timeout=END_TIMEOUT)
        if answer is not None and not self._ended.done():
            if answer.HasField("error"):
                said = answer.error.code, answer.error.message, answer.error.data
                raise failure_from_wire(*said, to=request.to, method=request.method)
            return str(answer.payload)
        if self._ended.done():
            raise conflict(ConflictReason.LEFT, "The connection ended before the answer came.")
        message = f"{foreign_text(request.to)} did not answer within {request.timeout:g} s."
        raise UTDStreamException(message, code=UTDErrorCode.TIMEOUT)

    def serve(self, method: str, sink: InvocationSink) -> None:
        """Deliver calls of `method`; see `RoomPort.serve`."""

        async def take(data: rtc.RpcInvocationData) -> str:
            self._heard(data.caller_identity)
            number = next(ffi.numbers)
            answer = self._open[number] = asyncio.get_running_loop().create_future()
            try:
                caller, timeout = data.caller_identity, data.response_timeout
                sink(MethodInvocation(number, method, caller, data.payload, timeout))
                reply: str = await answer
                return reply
            finally:
                del self._open[number]

        if not self._ended.done():
            self._room.local_participant.register_rpc_method(method, take)

    def stop(self, method: str) -> None:
        """Deliver them no more: who calls is told that nobody serves it."""
        if not self._ended.done():
            self._room.local_participant.unregister_rpc_method(method)

    def answer(self, number: int, reply: Reply) -> None:
        """See `RoomPort.answer`."""
        answer = self._open.get(number)
        if answer is None or answer.done():
            return
        if isinstance(reply, str):
            answer.set_result(reply)
        else:
            answer.set_exception(native.sdk().RpcError(*failure_to_wire(reply)))
