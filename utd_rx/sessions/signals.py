"""`Signals`: the signal socket of a client, what it tells, and which session has which call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol, TypeAlias

import reactivex
from attrs import frozen
from reactivex import Observable, abc

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.call import IncomingCall, UTDCall
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.ports.one_loop import OneLoop
from utd_rx.ports.signal import (
    SignalCall,
    SignalEnded,
    SignalEvent,
    SignalOpened,
    SignalPort,
    SignalRefused,
)
from utd_rx.protocol import signalling as rules
from utd_rx.protocol.facts import signalling as facts
from utd_rx.protocol.facts.calls import CallNotTold, CallTold, FetchCall, SignalChanged
from utd_rx.protocol.wire.calls import without_credentials
from utd_rx.sessions.timer import DeadlineTimer
from utd_rx.state import Machine, StateSubject
from utd_rx.state.piping import piped

logger: Final = logging.getLogger(__name__)

CLOSE_TIMEOUT: Final = 5.0
"""Seconds to wait for a cancelled socket, which needs one at most, and for calls to be hung up."""

SignalListener: TypeAlias = Callable[[CallTold | SignalChanged], None]
"""Takes what is told of calls and of the socket, on the client's loop; never raises."""


class CallHolder(Protocol):
    """Who has a call: one session of the client."""

    def lets_go(self, call_id: str) -> bool:
        """Return whether a session that takes part may have the call: this one only rings."""

    async def hang_up(self, timeout: float) -> None:
        """Leave a call that it is in and tell the engine, in so many seconds; never raises."""


@frozen
class SignalAccess:
    """As whom the socket is opened.

    Args:
        identity: The user.
        url: Where the engine's socket is; None when it has none.
        token: Returns a bearer that holds, another one than was refused; see `Bearer.fresh`.
        get_call: Asks the engine how a call stands.
    """

    identity: str
    url: str | None
    token: Callable[[str | None], Awaitable[str]]
    get_call: Callable[[str], Awaitable[UTDCall]]


class Signals:
    """Keeps one signal socket for whoever is signed in, and knows which calls ring.

    It belongs to the event loop of its first call. Streams: `connected`; `failure`, why the socket
    is not tried again; `ringing`, in the order they came; `incoming`, which tells each call once to
    each observer, beginning with those that ring.

    Args:
        port: The socket.
        clock: Of deadlines and jitter.
    """

    def __init__(self, port: SignalPort, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._owner = OneLoop("client")
        self._port = port
        self._clock = clock
        self._access: SignalAccess | None = None
        self._refused: str | None = None
        self._listeners: dict[object, SignalListener] = {}
        self._holders: dict[str, CallHolder] = {}
        self._socket: asyncio.Task[None] | None = None
        self._only_one = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._machine: Machine[rules.SignalState, object, object] = Machine(
            rules.SignalState(),
            rules.step,
            perform=self._perform,
            now=clock.now,
            drops_failures=True,
        )
        self.connected: StateSubject[bool] = self._machine.select(
            lambda state: state.is_up, name="signal_connected"
        )
        self.failure: StateSubject[UTDStreamException | None] = self._machine.select(
            lambda state: state.failure, name="signal_failure"
        )
        self.ringing: StateSubject[tuple[IncomingCall, ...]] = self._machine.select(
            lambda state: state.calls.incoming, name="ringing_calls"
        )
        self.incoming: Observable[IncomingCall] = _each_once(self.ringing)
        self._timer = DeadlineTimer(self._machine, rules.next_deadline, clock)

    @property
    def state(self) -> rules.SignalState:
        """Where the socket stands, with what was counted."""
        return self._machine.state

    def sign_in(self, access: SignalAccess) -> None:
        """Open the socket as `access` says, in place of any other, and keep it open.

        As somebody else, nothing rings any more, and who listened hears `SignalChanged(False)` as
        the last.

        Raises:
            UTDStreamException: `CONFLICT`, foreign loop or closed.
        """
        self.require_open()
        self._access, self._refused = access, None
        self._machine.offer(facts.SignalWanted(access.identity, access.url is not None))

    def require_open(self) -> None:
        """Check that this is the client's loop, and that the client is not closed.

        Raises:
            UTDStreamException: `CONFLICT`, foreign loop or closed.
        """
        self._owner.check()
        if self._machine.closed:
            raise conflict(ConflictReason.CLOSED, "the client is closed")

    # --- for sessions ---------------------------------------------------------------------------

    def listen(self, sink: SignalListener) -> Callable[[], None]:
        """Tell `sink` of every call and of the socket, beginning with whether it is up; call the
        result to stop."""
        key = object()
        self._listeners[key] = sink
        sink(SignalChanged(self._machine.head.is_up))

        def stop() -> None:
            self._listeners.pop(key, None)

        return stop

    def told(self, call: UTDCall, by: SignalListener | None = None) -> None:
        """Hear from the session that listens as `by` how a call stands, and tell the others.

        The engine tells no device of its own deeds.
        """
        told = CallTold(without_credentials(call))
        self._machine.offer(told)
        for sink in tuple(self._listeners.values()):
            if sink != by:
                sink(told)

    def claim(self, call_id: str, owner: CallHolder, *, takes_part: bool = False) -> None:
        """Have a call belong to `owner`, who may hold it already.

        One who `takes_part` gets it from a session that only rings.

        Raises:
            UTDStreamException: `CONFLICT`, already so: another session of this client has it.
        """
        holder = self._holders.setdefault(call_id, owner)
        if holder is not owner and not (takes_part and holder.lets_go(call_id)):
            message = "another session of this client has this call"
            raise conflict(ConflictReason.ALREADY, message)
        self._holders[call_id] = owner

    def release(self, call_id: str, owner: CallHolder) -> None:
        """Let go of a call; nothing when it is not `owner`'s."""
        if self._holders.get(call_id) is owner:
            del self._holders[call_id]

    async def hang_up(self) -> None:
        """Have every session leave the call that it is in. Bounded in time.

        Raises:
            UTDStreamException: `CONFLICT` on a foreign loop.
        """
        self._owner.check()
        holders = set(self._holders.values())
        await asyncio.gather(*(holder.hang_up(CLOSE_TIMEOUT) for holder in holders))

    async def aclose(self) -> None:
        """Close the socket and complete every stream. Idempotent, bounded in time.

        Raises:
            UTDStreamException: `CONFLICT` on a foreign loop.
        """
        self._owner.check()
        self._machine.offer(facts.SignalUnwanted())
        self._machine.close()
        self._timer.stop()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, stuck = await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT)
            for task in stuck:
                logger.error("%s did not end when cancelled", task.get_name())

    # --- inside ---------------------------------------------------------------------------------

    def _perform(self, effect: object) -> None:
        match effect:
            case facts.OpenSocket(attempt=attempt) if self._access is not None:
                self._close_socket()
                self._socket = self._spawn(self._open(attempt, self._access), "signal socket")
            case facts.CloseSocket():
                self._close_socket()
            case FetchCall(call_id=call_id) if self._access is not None:
                self._spawn(self._fetch(call_id, self._access), "FetchCall")
            case facts.TellSessions(fact=fact, is_last=is_last):
                listeners = tuple(self._listeners.values())
                if is_last:
                    self._listeners.clear()
                for sink in listeners:
                    sink(fact)

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.cancel()

    async def _open(self, attempt: int, access: SignalAccess) -> None:
        """Be one socket, from its bearer to its end; the one before it ends first."""
        failure = UTDStreamException("the signal socket failed")
        async with self._only_one:
            try:
                token = await access.token(self._refused)
                await self._port.run(
                    access.url or "", token, lambda batch: self._hear(attempt, token, batch)
                )
            except UTDStreamException as error:
                failure = error
            except Exception as error:  # noqa: BLE001 - else nobody would try again
                failure.__cause__ = error
        state = self._machine.head
        if state.attempt == attempt and state.phase in (rules.Phase.OPENING, rules.Phase.UP):
            self._machine.offer(facts.SocketClosed(attempt, None, failure, self._clock.jitter()))

    def _hear(self, attempt: int, token: str, batch: tuple[SignalEvent, ...]) -> None:
        told: list[object] = []
        for event in batch:
            match event:
                case SignalOpened():
                    told.append(facts.SocketOpened(attempt))
                case SignalCall(kind=kind, call=call):
                    told.append(facts.FrameHeard(attempt, kind, call))
                case SignalRefused():
                    told.append(facts.FrameRefused(attempt))
                case SignalEnded(code=code, error=error, is_final=is_final):
                    if code == rules.UNAUTHORIZED and attempt == self._machine.head.attempt:
                        self._refused = token
                    jitter = self._clock.jitter()
                    told.append(facts.SocketClosed(attempt, code, error, jitter, is_final))
        if not self._machine.closed:
            self._machine.dispatch_all(told)

    async def _fetch(self, call_id: str, access: SignalAccess) -> None:
        try:
            call = await access.get_call(call_id)
            told: CallTold | CallNotTold = CallTold(without_credentials(call))
        except UTDStreamException as error:
            told = CallNotTold(call_id, error)
        except Exception as error:  # noqa: BLE001 - else it would ring for ever
            failure = UTDStreamException("asking failed", code=UTDErrorCode.UNKNOWN)
            failure.__cause__ = error
            told = CallNotTold(call_id, failure)
        self._machine.offer(told)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=f"utd_rx {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _each_once(ringing: StateSubject[tuple[IncomingCall, ...]]) -> Observable[IncomingCall]:
    """Return what rings, each call once: one that has ceased to ring never rings again."""

    def subscribe(
        observer: abc.ObserverBase[IncomingCall], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        known: set[str] = set()

        def on_next(calls: tuple[IncomingCall, ...]) -> None:
            fresh = [call for call in calls if call.call_id not in known]
            known.clear()
            known.update(call.call_id for call in calls)
            for call in fresh:
                observer.on_next(call)

        return ringing.subscribe(on_next, observer.on_error, observer.on_completed)

    incoming: Observable[IncomingCall] = piped(reactivex.create(subscribe))
    return incoming
