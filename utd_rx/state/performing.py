"""`perform`: from values to commands, one at a time."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Generic, Literal, TypeAlias, TypeVar, cast, get_args

import reactivex
from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from utd_rx.errors import invalid
from utd_rx.state.piping import piped
from utd_rx.state.reports import logger, report, running_loop

T = TypeVar("T")
R = TypeVar("R")

Busy: TypeAlias = Literal["queue", "latest", "drop"]

MAX_WAITING: Final = 1000
"""Of a queue: a command that is slower than its values for that long never catches up."""


def perform(
    command: Callable[[T], Awaitable[R]], *, busy: Busy = "queue"
) -> Callable[[Observable[T]], Observable[R]]:
    """Await `command(value)` for each value, one at a time, and emit what it returns.

    What it raises is reported, once, and the next value goes on. Disposing cancels the command
    under way and forgets what waits; when the source completes, what waits is done first. All runs
    on the loop that is running at subscription, whichever thread the values come on.

    Args:
        command: As `room.mute`, or any function whose answer can be awaited.
        busy: What becomes of values that come while a command is under way. `"queue"`: each has
            its turn; 1,000 wait, more are dropped, which is logged. `"latest"`: the newest has its
            turn. `"drop"`: none has.

    Raises:
        UTDStreamException: `VALIDATION`: `busy` is none of these.
        RuntimeError: At subscription, without a running loop.
    """
    if busy not in get_args(Busy):
        raise invalid(f"busy is 'queue', 'latest' or 'drop', not {busy!r}")

    def operator(source: Observable[T]) -> Observable[R]:
        def subscribe(
            observer: abc.ObserverBase[R], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            performing = _Performing(observer, command, busy)
            here = performing.here
            subscription = source.subscribe(
                lambda value: here(lambda: performing.put(value)),
                lambda error: here(lambda: performing.fail(error)),
                lambda: here(performing.complete),
                scheduler=scheduler,
            )
            return CompositeDisposable(subscription, Disposable(lambda: here(performing.stop)))

        performed: Observable[R] = piped(reactivex.create(subscribe))
        return performed

    return operator


class _Performing(Generic[T, R]):
    """The commands of one subscription: what is under way, and what waits. On one loop."""

    def __init__(
        self, observer: abc.ObserverBase[R], command: Callable[[T], Awaitable[R]], busy: Busy
    ) -> None:
        loop = running_loop()
        if loop is None:
            raise RuntimeError("perform runs commands on an event loop: subscribe in a coroutine")
        self._loop = loop
        self._observer = observer
        self._command = command
        self._busy = busy
        self._name = getattr(command, "__qualname__", type(command).__name__)
        self._waiting: deque[T] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = self._is_complete = self._is_late = False

    def here(self, callback: Callable[[], None]) -> None:
        """Call back on the loop: now, when this is it, else soon; once it is closed, never."""
        if running_loop() is self._loop:
            callback()
        else:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(callback)

    def put(self, value: T) -> None:
        if self._is_stopped:
            return
        if self._task is None:
            self._task = self._loop.create_task(self._work(value), name=f"utd_rx {self._name}")
        elif self._admits():
            self._waiting.append(value)

    def complete(self) -> None:
        self._is_complete = True
        if self._task is None:
            self._observer.on_completed()

    def fail(self, error: Exception) -> None:
        self.stop()
        self._observer.on_error(error)

    def stop(self) -> None:
        self._is_stopped = True
        self._waiting.clear()
        if self._task is not None and self._task is not asyncio.current_task(self._loop):
            self._task.cancel()

    def _admits(self) -> bool:
        """Whether one more value may wait, for which others may have to go."""
        if self._busy == "latest":
            self._waiting.clear()
        is_late = self._busy == "queue" and len(self._waiting) >= MAX_WAITING
        if is_late and not self._is_late:
            logger.error(
                "%s is too slow: %d values wait, more are dropped", self._name, MAX_WAITING
            )
        self._is_late = is_late
        return self._busy != "drop" and not is_late

    async def _work(self, value: T) -> None:
        try:
            await self._once(value)
            while self._waiting:
                await self._once(self._waiting.popleft())
        finally:
            self._task = None
        if self._is_complete and not self._is_stopped:
            self._observer.on_completed()

    async def _once(self, value: T) -> None:
        try:
            result = await self._ask(value)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # else it is that of somebody else's future, an error like any other
            report(error, f"the command {self._name}")
            return
        if self._is_stopped:
            return
        try:
            self._observer.on_next(result)
        except Exception as error:  # noqa: BLE001 - reported: it is no error of the command
            report(error, f"an observer behind the command {self._name}")

    async def _ask(self, value: T) -> R:
        answer: object = self._command(value)
        if inspect.isawaitable(answer):
            return await cast("Awaitable[R]", answer)
        raise TypeError(f"it returned {type(answer).__name__}, which cannot be awaited")
