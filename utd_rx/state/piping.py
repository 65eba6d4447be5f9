"""What operators piped behind a state stream get as their scheduler: the running event loop.

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
from utd_rx.state.scheduler import LoopScheduler

T = TypeVar("T")
TState = TypeVar("TState")


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
        self, action: typing.ScheduledAction[TState], state: TState | None = None
    ) -> abc.DisposableBase:
        """Run the action on this thread, after what it is running now."""
        return CurrentThreadScheduler.singleton().schedule(action, state)


class Piped(Observable[T]):
    """A chain of operators whose end supplies the scheduler; otherwise the chain itself."""

    def __init__(self, chain: Observable[T]) -> None:
        super().__init__()
        self.lock = chain.lock
        self._chain = chain

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
        return self._chain.subscribe(
            on_next, on_error, on_completed, scheduler=scheduler or running_loop_scheduler()
        )

    if not TYPE_CHECKING:  # RxPY's overloads are right about the types

        def pipe(self, *operators: Any) -> Any:
            """As `Observable.pipe`."""
            return piped(self._chain.pipe(*operators))


def piped(chain: Any) -> Any:
    """Return a chain with its end on the loop; what is more than an Observable stays as it is."""
    return Piped(chain) if type(chain) is Observable else chain


def running_loop_scheduler() -> PipedScheduler | None:
    """Return a scheduler of the running loop, None where none is running."""
    try:
        return PipedScheduler(asyncio.get_running_loop())
    except RuntimeError:
        return None
