"""What runs a session's rules: one machine, one room, one timer, and the tasks of its effects.

What happened in one turn of the room's loop is one commit, so no observer sees the middle of a
server update that LiveKit reports as four events. Everything runs on the loop the session was made
on. Decisions go by the machine's head: what is published may be older than what was committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeAlias, TypeVar, cast

from utd_rx.errors import ConflictReason, UTDStreamException, conflict
from utd_rx.models.events import Reconnected, RoomEvent, RoomSnapshot
from utd_rx.ports.clock import Clock
from utd_rx.ports.one_loop import OneLoop
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.facts import connection as facts
from utd_rx.protocol.kinds import Kind
from utd_rx.protocol.session import SessionState
from utd_rx.protocol.waiting import EndWait, Promise, WaitDropped, Waiting, WaitStarted
from utd_rx.sessions.timer import DeadlineTimer
from utd_rx.state import Machine
from utd_rx.state.events import EventStream
from utd_rx.state.reports import running_loop

logger: Final = logging.getLogger(__name__)

St = TypeVar("St", bound=Waiting)
P = ParamSpec("P")
R = TypeVar("R")
Handler: TypeAlias = Callable[[Any], Coroutine[Any, Any, None]]
Handlers: TypeAlias = Mapping[type, Handler]

CLOSE_TIMEOUT: Final = 5.0
"""Seconds to wait for cancelled effects; each of them ends within one await of the room port."""


class Runner(Generic[St]):
    """Feeds a session's machine, carries out what it asks for, and lets its commands wait."""

    def __init__(
        self,
        kind: Kind[St],
        initial: St,
        room_name: Callable[[], str],
        *,
        room: RoomPort,
        clock: Clock,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = OneLoop("session")
        self._owner.check()
        self._kind = kind
        self._room_name = room_name
        self._clock = clock
        self._handlers: dict[type, Handler] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._inbox: list[RoomEvent] = []
        self._joining: int | None = None
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self.events: EventStream[RoomEvent] = EventStream()
        self.machine: Machine[St, object, object] = Machine(
            initial,
            kind.step,
            perform=self._perform,
            now=clock.now,
            loop=self._loop,
            drops_failures=True,
        )
        self._timer = DeadlineTimer(self.machine, kind.next_deadline, clock)
        self._unlisten = room.listen(self._flush)

    def start(self, *handlers: Handlers) -> None:
        """Carry out effects from now on: by exactly one handler for each effect of the kind."""
        for some in handlers:
            self._handlers |= some
        wrong = {EndWait, *self._handlers} ^ set(self._kind.effects)
        if wrong:
            names = ", ".join(sorted(effect.__name__ for effect in wrong))
            raise TypeError(f"effects without a handler, or handlers without an effect: {names}")

    @property
    def state(self) -> St:
        """The state, with all that has been committed."""
        return self.machine.head

    @property
    def session(self) -> SessionState:
        """The common part of it."""
        session: SessionState = self.machine.head.session
        return session

    @property
    def room_name(self) -> str:
        """The un-prefixed name of the room that it is about now."""
        return self._room_name()

    def require_here(self) -> None:
        """Check that the caller is on the session's loop, and that the session is not closed."""
        self._owner.check()
        if self.machine.closed:
            raise _closed()

    def require_joined(self) -> int:
        """Return the join a command belongs to: once the engine was asked, it may be the next."""
        if not self.session.connection.is_joined:
            how = "start or accept a call" if self._kind.type.is_call else "await join()"
            raise conflict(ConflictReason.NOT_JOINED, f"not joined: {how} first")
        return self.session.connection.epoch

    def offer(self, *told: object) -> None:
        """Commit facts together, unless the session is closed."""
        if not self.machine.closed:
            self.machine.dispatch_all(told)

    async def ask(
        self,
        promise: Promise | Callable[[R], Promise | None],
        call: Callable[Concatenate[str, P], Awaitable[R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Ask the engine about this room, wait until the state shows what its yes promises.

        The promise may depend on its answer, which is returned; None when there is nothing to show.
        What the engine refuses because it is so already, as one's own seat after a restart, is
        done, and the answer None.
        """
        epoch = self.require_joined()
        shown: Promise | None
        try:
            answer = await call(self.room_name, *args, **kwargs)
        except UTDStreamException as error:
            shown = promise if isinstance(promise, Promise) else None
            if shown is None or not shown.is_so_already(error, self.state):
                raise
            answer = cast("R", None)
        else:
            shown = promise if isinstance(promise, Promise) else promise(answer)
        if shown is not None:
            await self.wait(shown, epoch)
        return answer

    async def do(
        self, ask: Callable[[], Awaitable[R]], promise: Promise | Callable[[R], Promise | None]
    ) -> R:
        """As `ask`, by what is more than one call."""
        return await self.ask(promise, lambda _: ask())

    async def wait(self, promise: Promise, epoch: int) -> None:
        """Wait until the state shows what was promised; raises as `protocol.waiting` says."""
        wait_id = next(self._ids)
        answer = self._waiting[wait_id] = self._loop.create_future()
        try:
            self.offer(WaitStarted(wait_id, promise, epoch))
            if self.machine.closed:
                raise _closed()
            await answer
        finally:
            del self._waiting[wait_id]
            if not answer.done() or answer.cancelled():
                self.offer(WaitDropped(wait_id))

    # --- joining --------------------------------------------------------------------------------

    def begin_join(self) -> int:
        """State that a join begins, and return its epoch."""
        if not self.session.connection.is_resting:
            raise conflict(ConflictReason.ALREADY, "already joined or joining")
        # What the connection before this one still had to say belongs before the new epoch.
        self._flush()
        self.offer(facts.JoinStarted())
        return self.session.connection.epoch

    def require_join(self, epoch: int) -> None:
        """Check that the join of `epoch` is still wanted."""
        connection = self.session.connection
        if connection.epoch != epoch or connection.is_resting:
            raise conflict(ConflictReason.LEFT, "left meanwhile")

    async def connect(self, epoch: int, connecting: Awaitable[RoomSnapshot]) -> None:
        """Commit the snapshot of a connection, with the events since then."""
        self._flush()  # the last words of the connection before this one
        with self._holding_events(epoch):
            snapshot = await connecting
        self._flush(first=(facts.JoinSucceeded(epoch, snapshot),))
        self.require_join(epoch)

    async def reconnect(self, epoch: int, connecting: Awaitable[RoomSnapshot]) -> bool:
        """Commit how connecting anew in an outage went; nothing when the outage is over meanwhile.

        Returns whether the connection is of no use to anybody, and is to be ended.
        """
        try:
            with self._holding_events(epoch):
                snapshot = await connecting
        except Exception as error:  # noqa: BLE001 - else nobody would try again
            failure = _as_failure(error, "rejoining")
            self._flush(first=(facts.RejoinFailed(epoch, failure, self._clock.jitter()),))
            return False
        connection = self.session.connection
        if connection.epoch == epoch and connection.is_lost:
            self._inbox.insert(0, Reconnected(snapshot))  # told as LiveKit's own are
            self._flush()
        return connection.is_resting

    def fail_join(self, epoch: int, error: BaseException) -> bool:
        """State why the join of `epoch` failed; return whether its connection is to be ended."""
        is_current = self.session.connection.epoch == epoch
        self._flush(first=(facts.JoinFailed(epoch, _as_failure(error, "joining")),))
        return is_current

    # --- ending ---------------------------------------------------------------------------------

    def stop_listening(self) -> None:
        """Hear nothing more of the room. Idempotent."""
        self._flush()
        self._unlisten()

    async def aclose(self) -> None:
        """Cancel what is under way, let go of who waits, complete every stream. Idempotent."""
        self.stop_listening()
        self._timer.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)
            for task in stuck:
                logger.error("%s did not end when cancelled", task.get_name())
        self.machine.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(_closed())
        self.events.close()

    def at_home(self, callback: Callable[[], None]) -> None:
        """Call back on the session's loop: now, when this is it, else soon."""
        if running_loop() is self._loop:
            callback()
        else:
            with suppress(RuntimeError):  # the loop is closed, and whatever it was for is over
                self._loop.call_soon_threadsafe(callback)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` as a task of this session."""
        task = self._loop.create_task(work, name=f"utd_rx {name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    # --- inside ---------------------------------------------------------------------------------

    @contextmanager
    def _holding_events(self, epoch: int) -> Iterator[None]:
        """Let events behind the snapshot wait: they may be here before who awaits it wakes up."""
        self._joining = epoch
        try:
            yield
        finally:
            if self._joining == epoch:
                self._joining = None

    def _flush(self, batch: tuple[RoomEvent, ...] = (), first: tuple[object, ...] = ()) -> None:
        """Commit what was heard, unless it has to wait, behind the facts that come `first`."""
        self._inbox += batch
        events: list[RoomEvent] = []
        if self._joining is None:
            events, self._inbox = self._inbox, events
        if first or events:
            self.offer(*first, *events)
        for event in events:
            self.events.emit(event)

    def _perform(self, effect: object) -> None:
        if isinstance(effect, EndWait):
            answer = self._waiting.get(effect.id)
            if answer is None or answer.done():
                return
            if effect.error is None:
                answer.set_result(None)
            else:
                answer.set_exception(effect.error)
        # Closed, when another thread held up publishing until now: then the room is closed as well.
        elif not self.machine.closed:
            self.spawn(self._handlers[type(effect)](effect), type(effect).__name__)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=error)


def _closed() -> UTDStreamException:
    return conflict(ConflictReason.CLOSED, "the session is closed")


def _as_failure(error: BaseException, what: str) -> UTDStreamException:
    if isinstance(error, UTDStreamException):
        return error
    if isinstance(error, asyncio.CancelledError):
        return conflict(ConflictReason.LEFT, f"{what} was cancelled")
    # Not what it says: an app's own error may hold anything, and this one is state, and recorded.
    failure = UTDStreamException(f"{what} failed: {type(error).__name__}")
    failure.__cause__ = error
    return failure
