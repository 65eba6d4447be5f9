"""What runs a session's rules: one machine, one room, one timer, and the tasks of its effects.

Facts come in from three sides — room events, results of effects, the app's commands — and all of
them pass through the machine, one commit at a time. What happened in one turn of the loop is one
commit: a full room that greets a newcomer costs one delivery, and no observer sees the middle of
a server update that LiveKit reports as four events (facts/livekit.md §1.2).

Everything here runs on one event loop, the one the session was made on; so do the session's
observers, whichever thread subscribes. Decisions go by the machine's head: while a callback runs,
here or on another thread, what is published may be older than what was committed.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.events import Reconnected, RoomEvent
from utd_rx.protocol.facts import (
    DeadlinePassed,
    JoinFailed,
    JoinStarted,
    JoinSucceeded,
    Rejoin,
    RejoinFailed,
)
from utd_rx.protocol.session import SessionState
from utd_rx.rtc.port import RoomPort
from utd_rx.state import Machine
from utd_rx.state.events import EventStream

logger = logging.getLogger(__name__)

St = TypeVar("St")
Handler: TypeAlias = Callable[[Any], Awaitable[None]]
Handlers: TypeAlias = Mapping[type, Handler]

CLOSE_TIMEOUT = 5.0
"""Seconds to wait for cancelled effects; each of them ends within one await of the room port."""


class Shell(Generic[St]):
    """Feeds a session's machine and carries out what it asks for.

    Args:
        initial: The state to begin with.
        step: The session type's rules.
        room: The media room.
        session_of: Finds the common part in the state.
        next_deadline: When the rules must hear that time has passed, None for never.
        handlers: What to do for each type of effect; each may `offer` facts.
        now: Monotonic seconds.
    """

    def __init__(
        self,
        initial: St,
        step: Callable[[St, object, float], tuple[St, Sequence[object]]],
        *,
        room: RoomPort,
        session_of: Callable[[St], SessionState],
        next_deadline: Callable[[St], float | None],
        handlers: Handlers,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = now
        self._room = room
        self._session_of = session_of
        self._next_deadline = next_deadline
        self._handlers = handlers
        self._tasks: set[asyncio.Task[None]] = set()
        self._inbox: list[RoomEvent] = []
        self._joining: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._events: EventStream[RoomEvent] = EventStream()
        self.machine: Machine[St, object, object] = Machine(
            initial, step, perform=self._perform, now=now, loop=self._loop
        )
        self._unlisten = room.listen(self._receive)
        self.machine.select(next_deadline, name="deadline").subscribe(self._arm)

    @property
    def events(self) -> Observable[RoomEvent]:
        """Every room event, after the commit it is part of."""
        return self._events

    @property
    def session(self) -> SessionState:
        """The common part of the state, with all that has been committed."""
        return self._session_of(self.machine.head)

    def offer(self, *facts: object) -> None:
        """Commit facts together, unless the session is closed."""
        if not self.machine.closed:
            self.machine.dispatch_all(facts)

    def begin_join(self) -> int:
        """State that a join begins, and return its epoch."""
        # What the connection before this one still had to say belongs before the new epoch.
        self._flush()
        self.offer(JoinStarted())
        return self.session.connection.epoch

    def require_join(self, epoch: int) -> None:
        """Check that the join of `epoch` is still wanted.

        Raises:
            UTDStreamException: `CONFLICT` when it was left or replaced meanwhile.
        """
        connection = self.session.connection
        if connection.epoch != epoch or connection.is_resting:
            raise UTDStreamException("left while joining", code=UTDErrorCode.CONFLICT)

    async def connect(self, epoch: int, url: str, token: str) -> None:
        """Connect the room and take its snapshot, with the events since then, as one commit.

        Raises:
            UTDStreamException: As `RoomPort.connect`; `CONFLICT` when left meanwhile.
        """
        self._flush()  # the last words of the connection before this one
        # Events behind the snapshot may be here before this coroutine wakes up; they wait.
        self._joining = epoch
        try:
            snapshot = await self._room.connect(url, token)
        finally:
            if self._joining == epoch:
                self._joining = None
        self._flush(JoinSucceeded(epoch, snapshot))
        self.require_join(epoch)

    async def rejoin(self, effect: Rejoin) -> None:
        """Connect anew in an outage, and report how it went; nothing when it is over meanwhile.

        Without a mint, which would let somebody back in who was kicked. What the new connection begins with is told as `Reconnected`, as LiveKit's own.
        """
        self._joining = effect.epoch
        try:
            snapshot = await self._room.reconnect()
        except UTDStreamException as error:
            self._joining = None
            self._flush(RejoinFailed(effect.epoch, error, random.random()))  # noqa: S311 (jitter)
            return
        finally:
            if self._joining == effect.epoch:
                self._joining = None
        connection = self.session.connection
        if connection.epoch == effect.epoch and connection.is_lost:
            self._inbox.insert(0, Reconnected(snapshot))
            self._flush()
        elif connection.is_resting:
            await self._room.disconnect()

    def fail_join(self, epoch: int, error: BaseException) -> bool:
        """State why the join of `epoch` failed; returns whether its connection is to be ended."""
        is_current = self.session.connection.epoch == epoch
        self._flush(JoinFailed(epoch, _as_failure(error)))
        return is_current

    async def aclose(self) -> None:
        """Stop listening, cancel what is under way, complete every stream. Idempotent."""
        self._unlisten()
        self._arm(None)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT)
            for task in stuck:
                logger.error("%s did not end when cancelled", task.get_name())
        self.machine.close()
        self._events.close()

    def spawn(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """Run `work` as a task of this session."""
        task = self._loop.create_task(_run(work), name=f"utd_rx {name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _receive(self, events: tuple[RoomEvent, ...]) -> None:
        """Take room events; what came in the same turn of the loop is committed together."""
        is_first = not self._inbox
        self._inbox.extend(events)
        if is_first and self._joining is None:
            self._loop.call_soon(self._flush)

    def _flush(self, *first: object) -> None:
        events: list[RoomEvent] = []
        if self._joining is None:
            events, self._inbox = self._inbox, events
        if first or events:
            self.offer(*first, *events)
        for event in events:
            self._events.emit(event)

    def _perform(self, effect: object) -> None:
        # Closed, when another thread held up publishing until now: then the room is closed as well.
        if not self.machine.closed:
            self.spawn(self._handlers[type(effect)](effect), type(effect).__name__)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=error)

    def _arm(self, deadline: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if deadline is not None:
            delay = max(0.0, deadline - self._now())
            self._timer = self._loop.call_later(delay, self._due)

    def _due(self) -> None:
        self._timer = None
        self.offer(DeadlinePassed())
        # The loop's timers may be early by its clock's resolution; then nothing was due yet, and
        # nothing has changed that would arm the timer again.
        if self._timer is None and not self.machine.closed:
            self._arm(self._next_deadline(self.machine.head))


async def _run(work: Awaitable[None]) -> None:
    await work


def _as_failure(error: BaseException) -> UTDStreamException:
    if isinstance(error, UTDStreamException):
        return error
    if isinstance(error, asyncio.CancelledError):
        return UTDStreamException("joining was cancelled", code=UTDErrorCode.CONFLICT)
    # Not what it says: an app's own error may hold anything, and this one is state, and recorded.
    failure = UTDStreamException(f"joining failed: {type(error).__name__}")
    failure.__cause__ = error
    return failure
