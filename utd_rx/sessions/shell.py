"""What runs a session's rules: one machine, one room, one timer, and the tasks of its effects.

Facts come in from three sides — room events, results of effects, the app's commands — and all of
them pass through the machine, one commit at a time. What happened in one turn of the loop is one
commit: a full room that greets a newcomer costs one delivery, and no observer sees the middle of
a server update that LiveKit reports as four events (facts/livekit.md §1.2).

Everything here runs on one event loop, the one the session was made on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.events import RoomEvent
from utd_rx.protocol.facts import DeadlinePassed, JoinFailed, JoinStarted, JoinSucceeded
from utd_rx.protocol.session import SessionState, next_deadline
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
        handlers: Handlers,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = now
        self._room = room
        self._session_of = session_of
        self._handlers = handlers
        self._tasks: set[asyncio.Task[None]] = set()
        self._inbox: list[RoomEvent] = []
        self._is_joining = False
        self._timer: asyncio.TimerHandle | None = None
        self._events: EventStream[RoomEvent] = EventStream()
        self.machine: Machine[St, object, object] = Machine(
            initial, step, perform=self._perform, now=now
        )
        self._unlisten = room.listen(self._receive)
        self._deadline = self.machine.select(
            lambda state: next_deadline(session_of(state)), name="deadline"
        )
        self._deadline.subscribe(self._arm)

    @property
    def events(self) -> Observable[RoomEvent]:
        """Every room event, after the commit it is part of."""
        return self._events

    @property
    def session(self) -> SessionState:
        """The common part of the state."""
        return self._session_of(self.machine.state)

    def offer(self, *facts: object) -> None:
        """Commit facts together, unless the session is closed."""
        if not self.machine.closed:
            self.machine.dispatch_all(facts)

    async def join(self, url: str, token: str) -> None:
        """Connect the room and take its snapshot, with the events since then, as one commit.

        Raises:
            UTDStreamException: As `RoomPort.connect`; `CONFLICT` when left meanwhile.
        """
        # What the connection before this one still had to say belongs before the new epoch.
        self._flush()
        self.offer(JoinStarted())
        epoch = self.session.connection.epoch
        self._is_joining = True
        try:
            snapshot = await self._room.connect(url, token)
        except BaseException as error:
            self._finish_join(JoinFailed(epoch, _as_failure(error)))
            raise
        self._finish_join(JoinSucceeded(epoch, snapshot))
        if not self.session.connection.is_joined:
            await self._room.disconnect()
            raise UTDStreamException("left while joining", code=UTDErrorCode.CONFLICT)

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

    def _receive(self, event: RoomEvent) -> None:
        """Take one room event; what came in the same turn of the loop is committed together."""
        self._inbox.append(event)
        # Events behind the snapshot may be here before the join's own coroutine wakes up.
        if len(self._inbox) == 1 and not self._is_joining:
            self._loop.call_soon(self._flush)

    def _finish_join(self, result: JoinSucceeded | JoinFailed) -> None:
        self._is_joining = False
        self._flush(result)

    def _flush(self, *first: object) -> None:
        if self._is_joining:
            return
        events, self._inbox = self._inbox, []
        if first or events:
            self.offer(*first, *events)
        for event in events:
            self._events.emit(event)

    def _perform(self, effect: object) -> None:
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
            self._timer = self._loop.call_later(delay, self.offer, DeadlinePassed())


async def _run(work: Awaitable[None]) -> None:
    await work


def _as_failure(error: BaseException) -> UTDStreamException:
    if isinstance(error, UTDStreamException):
        return error
    if isinstance(error, asyncio.CancelledError):
        return UTDStreamException("joining was cancelled", code=UTDErrorCode.CONFLICT)
    return UTDStreamException(f"joining failed: {error!r}")
