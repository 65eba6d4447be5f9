"""Methods of a session: those of others that it calls, and those that it serves to them."""

from __future__ import annotations

import asyncio
from asyncio import FIRST_COMPLETED
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Any, Final, TypeAlias, TypeVar

from reactivex.disposable import Disposable

from utd_rx.errors import (
    ConflictReason,
    UTDErrorCode,
    UTDStreamException,
    conflict,
    invalid,
)
from utd_rx.models import events as ev
from utd_rx.models.methods import MethodFailed, MethodInvocation
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.methods import MAX_PAYLOAD, MethodRequest, Reply, method_name, text
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.waiting import Waiting
from utd_rx.protocol.wire.methods import APPLICATION_ERROR
from utd_rx.sessions.commands import command
from utd_rx.sessions.media_view import MediaView
from utd_rx.sessions.runner import Runner
from utd_rx.state.foreign import foreign_work
from utd_rx.state.reports import report

St = TypeVar("St", bound=Waiting)

Method: TypeAlias = Callable[[MethodInvocation], Awaitable[str] | str]
"""Answers a call, async or not; what it raises is what the caller gets."""

MAX_CALLS: Final = 64
"""Calls that a session has under way at a time, and calls of others that it serves at a time."""

MAX_OF_ONE: Final = 16
"""Those of one caller that are served at a time."""

UNSEEN: Final = 4.0
"""Seconds in which who is called has to answer or to be seen: of who publishes nothing a server
may tell 3 s late (docs/livekit.md, "News of the silent"), and of who is hidden never."""


class MethodCalls:
    """The calls of one session, both ways."""

    def __init__(self, runner: Runner[Any], room: RoomPort) -> None:
        self._runner = runner
        self._room = room
        self._calling: dict[asyncio.Future[None], str] = {}
        self._serving: dict[asyncio.Task[None], str] = {}
        self._served: dict[str, Callable[[], None]] = {}
        self._here: Mapping[str, object] = {}
        runner.events.subscribe(self._mind, on_completed=self._close)

    async def call(self, request: MethodRequest) -> str:
        """See `CallingMethods.call_method`."""
        self._runner.require_joined()
        me = self._runner.session.roster.local
        if me is not None and request.to == me.identity:
            raise _nobody(request.to)
        if len(self._calling) >= MAX_CALLS:
            message = f"{MAX_CALLS} calls are under way: wait for one of them"
            raise conflict(ConflictReason.BUSY, message)
        self._notice()
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calling[gone] = request.to
        calling = asyncio.ensure_future(self._room.call(request))
        try:
            rivals: list[asyncio.Future[Any]] = [calling, gone]
            if not self._is_seen(request.to):
                done, _ = await asyncio.wait(rivals, timeout=UNSEEN, return_when=FIRST_COMPLETED)
                if not done and not self._is_seen(request.to):
                    raise _nobody(request.to)
            await asyncio.wait(rivals, return_when=FIRST_COMPLETED)
            if calling.done():
                return calling.result()
            message = f"{foreign_text(request.to)} left before it answered"
            raise UTDStreamException(message, code=UTDErrorCode.NOT_FOUND)
        finally:
            calling.cancel()
            del self._calling[gone]

    def serve(self, method: str, function: Method) -> Disposable:
        """See `CallingMethods.serve`."""
        self._runner.require_here()
        if method_name(method) in self._served:
            raise conflict(ConflictReason.ALREADY, f"{method!r} is served already: dispose that")
        if not callable(function):
            raise invalid("a method is a function of a MethodInvocation, async or not")
        stop_sink = self._room.serve(method, lambda invocation: self._take(function, invocation))
        self._served[method] = stop_sink

        def stop() -> None:
            if self._served.get(method) is stop_sink:
                del self._served[method]
                stop_sink()

        return Disposable(lambda: self._runner.at_home(stop))

    # --- inside ---------------------------------------------------------------------------------

    def _is_seen(self, identity: str) -> bool:
        return identity in self._runner.session.roster.remotes

    def _close(self) -> None:
        while self._served:
            self._served.popitem()[1]()

    def _take(self, function: Method, invocation: MethodInvocation) -> None:
        if self._runner.machine.closed:
            return
        self._notice()
        of_one = sum(caller == invocation.caller for caller in self._serving.values())
        is_busy = len(self._serving) >= MAX_CALLS or of_one >= MAX_OF_ONE
        work = self._refuse(invocation) if is_busy else self._answer(function, invocation)
        task = self._runner.spawn(work, f"method {invocation.method}")
        if not is_busy:
            self._serving[task] = invocation.caller
            task.add_done_callback(self._serving.pop)

    async def _refuse(self, invocation: MethodInvocation) -> None:
        message = "too many calls are under way: try again when some are answered"
        busy = UTDStreamException(message, code=UTDErrorCode.RATE_LIMITED)
        await self._room.answer(invocation.number, busy)

    async def _answer(self, function: Method, invocation: MethodInvocation) -> None:
        reply: Reply
        limit = asyncio.timeout(invocation.timeout)
        try:
            async with limit:
                answer = await foreign_work(_answered(function, invocation))
            reply = _sendable(answer)
        except UTDStreamException as error:
            reply = error
        except Exception as error:  # noqa: BLE001 - reported
            if limit.expired():
                reply = UTDStreamException("it took too long", code=UTDErrorCode.TIMEOUT)
            else:
                report(error, f"the method {invocation.method!r}")
                reply = MethodFailed(
                    "the method failed", code=UTDErrorCode.SERVER, number=APPLICATION_ERROR
                )
        await self._room.answer(invocation.number, reply)

    def _notice(self) -> None:
        """End what is under way with those who were here and are not any more: of who was never
        seen, as hidden ones, that is not known."""
        session = self._runner.session
        before, now = self._here, session.roster.remotes
        self._here = now
        is_in = session.connection.is_joined and not session.connection.is_lost
        if now is not before and is_in:  # else it is we who left
            self._end(lambda who: who in before and who not in now)

    def _mind(self, event: ev.RoomEvent) -> None:
        self._notice()
        match event:
            case ev.ParticipantDisconnected(identity=identity):
                self._end(lambda who: who == identity)
            case ev.Disconnected():  # of which the port tells who calls
                self._stop_serving(lambda _: True)

    def _end(self, is_gone: Callable[[str], bool]) -> None:
        for gone, who in self._calling.items():
            if is_gone(who) and not gone.done():
                gone.set_result(None)
        self._stop_serving(is_gone)

    def _stop_serving(self, is_gone: Callable[[str], bool]) -> None:
        for task, who in tuple(self._serving.items()):
            if is_gone(who):
                task.cancel()


class CallingMethods(MediaView[St]):
    """The part of a session that calls methods, and serves some."""

    _methods: MethodCalls

    @command
    async def call_method(
        self, method: str, payload: str = "", *, to: str, timeout: float = 10.0
    ) -> str:
        """Call a method that somebody else serves, and return its answer: LiveKit's RPC.

        In a room `call` is the same.

        Args:
            method: Its name, of 1 to 64 bytes.
            payload: Any text, 1 MB at most; 15 KiB for a client without data streams.
            to: The identity of who serves it.
            timeout: Seconds for all of it, 0.1 to 3600; who serves it learns of them.

        Raises:
            UTDStreamException: `MethodFailed` what the method raised, with its code if it is a UTD
                client's; `NOT_FOUND` nobody of that identity is here, which takes 4 s to know,
                they left meanwhile, or serve no such method; `TIMEOUT`; `VALIDATION` what cannot be
                sent, or is too large for the other side; `FORBIDDEN` sending data is not granted;
                `CONFLICT` not joined, left or closed meanwhile, or 64 calls are under way;
                `RATE_LIMITED` who serves it serves too many: of one caller 16 at a time.

        Cancelling is safe; the method may have been called.
        """
        return await self._methods.call(MethodRequest(method, payload, to, timeout))

    def serve(self, method: str, function: Method) -> Disposable:
        """Serve a method to everybody in the room, in this connection and those that follow.

        A call runs as a task of the session: cancelled when its caller leaves, when the time is
        over that the caller gave it, and when the session leaves. It goes on when the caller was
        cancelled, of which LiveKit tells nobody. A `UTDStreamException` that it raises reaches the
        caller with its code, `MethodFailed` with number and data as well; of any other, and of an
        answer that is no text of 1 MB at most, the caller learns that the method failed, and it is
        reported here. 64 calls are served at a time, 16 of one caller;
        what is more is refused with `RATE_LIMITED`.

        Args:
            method: Its name, of 1 to 64 bytes.
            function: Of a `MethodInvocation`, which returns the answer, a text; an async one, or
                one that does not wait, since it runs on the session's loop.

        Returns:
            What ends it: `dispose()`; calls under way are finished.

        Raises:
            UTDStreamException: `VALIDATION` what is no name or function; `CONFLICT` it is served
                already, on a foreign loop, or closed.
        """
        return self._methods.serve(method, function)


async def _answered(function: Method, invocation: MethodInvocation) -> str:
    answer = function(invocation)
    return await answer if isawaitable(answer) else answer


def _sendable(answer: object) -> str:
    """Return what a method returned; one that cannot be sent is its own fault."""
    try:
        return text(answer, "what a method returns", MAX_PAYLOAD)
    except UTDStreamException as error:
        raise ValueError(error.message) from None


def _nobody(identity: str) -> UTDStreamException:
    message = f"nobody is here as {identity!r}: `remote_participants` says who is"
    return UTDStreamException(message, code=UTDErrorCode.NOT_FOUND)
