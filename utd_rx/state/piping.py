"""What operators piped behind a stream of ours get as their scheduler: the running event loop.

RxPY's time operators ask for a scheduler from left to right: their own argument, what was given to
`subscribe`, a timer thread. The source of a chain has no say in it, its end has. So `pipe` returns
the same chain with another end, which gives `subscribe` the loop that is running then.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from reactivex import Observable, abc, typing
from reactivex.scheduler import CurrentThreadScheduler

from utd_rx.state.callbacks import INSTEAD_OF_EVENTS, refuse_async
from utd_rx.state.reports import running_loop
from utd_rx.state.scheduler import LoopScheduler

T = TypeVar("T")


class PipedScheduler(LoopScheduler):
    """A `LoopScheduler` for operators that did not ask for one.

    What has no delay stays where it is without a scheduler, on the current thread: `start_with`
    and `concat` still emit before `subscribe` returns. And the time of day is right, for
    `timestamp`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._zero = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=loop.time())

    @property
    def now(self) -> datetime:
        """The time of day when this was made, and what the loop's clock has moved since; UTC."""
        return self._zero + timedelta(seconds=self._loop.time())

    def schedule(
        self, action: typing.ScheduledAction[Any], state: Any = None
    ) -> abc.DisposableBase:
        """Run the action on this thread, after what it is running now."""
        return CurrentThreadScheduler.singleton().schedule(action, state)


class Piping:
    """What pipes so that the end of the chain supplies the scheduler; before its Observable."""

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
        """As `Observable.subscribe`; `scheduler` is that of the running loop by default.

        Raises:
            AsyncObserverError: For an `async def`, which nobody would await.
        """
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
