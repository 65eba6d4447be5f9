"""What runs rules: one machine, one timer, the tasks of its effects, and its commands' waits.

Everything runs on the loop it was made on. Decisions go by the machine's head: what is published
may be older than what was committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from itertools import count
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from utd_rx.errors import ConflictReason, UTDStreamException, conflict
from utd_rx.ports.clock import Cancel, Clock
from utd_rx.ports.from_thread import FromThread
from utd_rx.ports.one_loop import OneLoop
from utd_rx.protocol.waiting import EndWait, Promise, Step, WaitDropped, Waiting, WaitStarted
from utd_rx.sessions.timer import DeadlineTimer
from utd_rx.state import Machine
from utd_rx.state.reports import running_loop

logger: Final = logging.getLogger(__name__)

St = TypeVar("St", bound=Waiting)
Handler: TypeAlias = Callable[[Any], Coroutine[Any, Any, None] | None]
"""Carries an effect out, at once or as a task."""

Handlers: TypeAlias = Mapping[type, Handler]

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Runs work as a task with a name, which ends with its owner; see `RulesRunner.spawn`."""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds to wait for cancelled effects; each of them ends within one await of a port."""


class Rules(Protocol[St]):
    """What is run: a row of `protocol.kinds`, or what has its rules, effects and deadlines."""

    @property
    def step(self) -> Step[St]: ...

    @property
    def effects(self) -> Collection[type]: ...

    def next_deadline(self, state: St) -> float | None: ...


class RulesRunner(Generic[St]):
    """Feeds a session's machine, carries out what it asks for, and lets its commands wait."""

    def __init__(self, rules: Rules[St], initial: St, *, clock: Clock) -> None:
        self._owner = OneLoop("session")
        self._owner.check()
        self._loop = asyncio.get_running_loop()
        self.from_thread = FromThread(self._loop)
        self._rules = rules
        self._clock = clock
        self._handlers: dict[type, Handler] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self.machine: Machine[St, object, object] = Machine(
            initial,
            rules.step,
            perform=self._perform,
            now=clock.now,
            loop=self._loop,
            drops_failures=True,
        )
        self._timer = DeadlineTimer(self.machine, rules.next_deadline, clock)

    def start(self, *handlers: Handlers) -> None:
        """Carry out effects from now on: by exactly one handler for each effect of the kind."""
        for some in handlers:
            self._handlers |= some
        wrong = {EndWait, *self._handlers} ^ set(self._rules.effects)
        if wrong:
            names = ", ".join(sorted(effect.__name__ for effect in wrong))
            raise TypeError(f"effects without a handler, or handlers without an effect: {names}")

    @property
    def state(self) -> St:
        """The state, with all that has been committed."""
        return self.machine.head

    def require_here(self) -> None:
        """Check that the caller is on the session's loop, and that the session is not closed."""
        self._owner.check()
        if self.machine.closed:
            raise _closed()

    def offer(self, *told: object) -> None:
        """Commit facts together, unless the session is closed."""
        if not self.machine.closed:
            self.machine.dispatch_all(told)

    def call_in(self, seconds: float, callback: Callable[[], None]) -> Cancel:
        """Call back in so many seconds of the session's clock."""
        return self._clock.call_at(self._clock.now() + seconds, callback)

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

    async def aclose(self) -> None:
        """Cancel what is under way, let go of who waits, complete every stream. Idempotent."""
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
            work = self._handlers[type(effect)](effect)
            if work is not None:
                self.spawn(work, type(effect).__name__)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=error)


def _closed() -> UTDStreamException:
    return conflict(ConflictReason.CLOSED, "the session is closed")
