"""The event loop as the scheduler of RxPY's operators, which would start timer threads.

They take their own argument, or what was given to `subscribe`: the source of a chain has no say in
it, its end has. So `pipe` returns the same chain with an end that supplies the running loop.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from reactivex import Observable, abc, typing
from reactivex.disposable import Disposable, SingleAssignmentDisposable
from reactivex.scheduler import CurrentThreadScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler

from utd_rx.state.errors import INSTEAD_OF_EVENTS, Uncopied, refuse_async
from utd_rx.state.reports import report, running_loop

T = TypeVar("T")
Action = typing.ScheduledAction[Any]


class LoopScheduler(AsyncIOScheduler):
    """An `AsyncIOScheduler` that may be asked from any thread and reads the loop's clock.

    RxPY's own takes `now` from the wall clock, which a loop on virtual time does not follow and
    which jumps; and its thread-safe variant waits for the loop when it cancels.
    """

    @property
    def now(self) -> datetime:
        """The time of the loop's clock; only differences mean something."""
        return self.to_datetime(self._loop.time())

    def schedule(self, action: Action, state: Any = None) -> abc.DisposableBase:
        """Run the action in the loop's next turn."""
        return self.schedule_relative(0.0, action, state)

    def schedule_relative(
        self, duetime: typing.RelativeTime, action: Action, state: Any = None
    ) -> abc.DisposableBase:
        """Run the action on the loop after `duetime` seconds."""
        sad, seconds = SingleAssignmentDisposable(), self.to_seconds(duetime)

        def arm() -> None:
            if seconds > 0:
                sad.disposable = AsyncIOScheduler.schedule_relative(self, seconds, action, state)
            else:
                sad.disposable = AsyncIOScheduler.schedule(self, action, state)

        if running_loop() is self._loop:
            arm()
        else:
            self._loop.call_soon_threadsafe(arm)
        return sad

    def invoke_action(self, action: Action, state: Any = None) -> abc.DisposableBase:
        """Run the action now; what it raises is the error of an observer behind it."""
        try:
            return super().invoke_action(action, state)
        except BaseException as error:  # noqa: BLE001 - reported, or an interrupt and raised
            report(error, "an observer behind a time operator")
            return Disposable()


def loop_scheduler(loop: asyncio.AbstractEventLoop | None = None) -> LoopScheduler:
    """Return a scheduler of the given, or the running, event loop, or raise `RuntimeError`."""
    loop = loop or running_loop()
    if loop is None:
        raise RuntimeError(
            "time operators run on an event loop and none is running here: subscribe inside a "
            "coroutine, or pass scheduler=loop_scheduler(loop)"
        )
    return LoopScheduler(loop)


class PipedScheduler(LoopScheduler):
    """A `LoopScheduler` for operators that did not ask for one: what has no delay stays on the
    current thread, as `start_with`, and the time of day is right, for `timestamp`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._zero = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=loop.time())

    @property
    def now(self) -> datetime:
        """The time of day when this was made, and what the loop's clock has moved since; UTC."""
        return self._zero + timedelta(seconds=self._loop.time())

    def schedule(self, action: Action, state: Any = None) -> abc.DisposableBase:
        """Run the action on this thread, after what it is running now."""
        return CurrentThreadScheduler.singleton().schedule(action, state)


class Piping(Uncopied):
    """What pipes so that the end of the chain supplies the scheduler; before its Observable."""

    COPY_INSTEAD = "the values that it emits"

    if not TYPE_CHECKING:  # RxPY's overloads are right about the types

        def pipe(self, *operators: Any) -> Any:
            """As `Observable.pipe`; time operators run on the loop running at subscription."""
            return piped(super().pipe(*operators))


class Piped(Piping, Observable[T]):
    """An Observable that supplies the running loop's scheduler, and refuses what is async."""

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """As `Observable.subscribe`; `scheduler` is that of the running loop by default."""
        refuse_async(on_next, on_error, on_completed, instead=INSTEAD_OF_EVENTS)
        if scheduler is None and (loop := running_loop()) is not None:
            scheduler = PipedScheduler(loop)
        return super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)


def piped(chain: Any) -> Any:
    """Return a chain with its end on the loop; what is more than an Observable stays as it is."""
    if type(chain) is not Observable:
        return chain
    end: Piped[Any] = Piped(chain._subscribe_core)
    end.lock = chain.lock
    return end
