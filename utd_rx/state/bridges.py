"""From a `StateSubject`, fed from any thread, to asyncio: wait for a value, iterate over values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

from reactivex.disposable import CompositeDisposable

from utd_rx.models.checks import answer
from utd_rx.state.derived import Derived, Subscription, same
from utd_rx.state.errors import INSTEAD_OF_STATE, StreamCompletedError, Uncopied, refuse_async
from utd_rx.state.reports import INTERRUPTS, running_loop

T = TypeVar("T")


class _Wakeup:
    """A future of the current loop that any thread may resolve."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        loop = running_loop()
        if loop is None:
            raise RuntimeError(
                "until() and changes() wait on an event loop of asyncio, and none runs here: use "
                "them in an `async def` that asyncio.run() runs, or read `.value`"
            )
        self._loop = loop
        self._future: asyncio.Future[None] = self._loop.create_future()

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until `wake()`; False when the time ran out first."""
        if timeout is None:
            await self._future
            return True
        done, _ = await asyncio.wait((self._future,), timeout=timeout)
        return bool(done)

    def wake(self) -> None:
        if running_loop() is self._loop:
            self._resolve()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


def matcher(value_or_predicate: T | Callable[[T], bool]) -> Callable[[T], bool]:
    """Return what tells whether a value equals, or satisfies, the argument; none that is async."""
    refuse_async(value_or_predicate, instead=INSTEAD_OF_STATE, kind="a predicate")
    if not callable(value_or_predicate):
        return partial(same, value_or_predicate)
    return lambda value: answer(value_or_predicate(value), "a predicate")


async def until(
    source: Derived[T],
    is_current: Derived[bool],
    value_or_predicate: T | Callable[[T], bool],
    timeout: float | None,
) -> T:
    """Wait for a value once it is current; the contract is that of `StateSubject.until`."""
    matches = matcher(value_or_predicate)
    found: list[T] = []
    failed: list[BaseException] = []
    wakeup = _Wakeup()
    is_behind = not is_current.value

    def on_next(value: T) -> None:
        if found or failed or not is_current.value:  # or: a delivery that was already under way
            return
        try:
            if matches(value):
                found.append(value)
        except INTERRUPTS:
            raise
        except BaseException as error:  # noqa: BLE001 - the predicate belongs to the awaiting code
            failed.append(error)
        if found or failed:
            wakeup.wake()

    def on_completed() -> None:
        if not found and not failed:
            what = f"{source.name!r} completed without the awaited value"
            failed.append(StreamCompletedError(what))
            wakeup.wake()

    subscription = CompositeDisposable(source.subscribe(on_next, None, on_completed))
    if is_behind:  # the value may stay as it is when that commit is published
        subscription.add(is_current.subscribe(lambda _: on_next(source.value)))
    try:
        if not found and not failed and not await wakeup.wait(timeout):
            raise TimeoutError(f"{source.name!r} did not take the awaited value in {timeout} s")
    finally:
        subscription.dispose()
    if failed:
        raise failed[0]
    return found[0]


class Changes(AsyncIterator[T], Uncopied):
    """The asynchronous iterator of `StateSubject.changes()`.

    It never yields two equal values in a row, and observes only while somebody waits for the next
    one; so cancelling it or letting go of it leaves nothing behind, and loses nothing.
    """

    COPY_INSTEAD = "another one from `changes()`"

    def __init__(self, source: Derived[T]) -> None:
        self._source = source
        self._read: tuple[T] | None = None
        self._wakeup: _Wakeup | None = None
        self._closed = False

    async def __anext__(self) -> T:
        """Return the newest value not yet seen, to one task at a time. Cancelling is safe."""
        if self._wakeup is not None:
            raise RuntimeError("changes() is already being read by another task")
        completed = False

        def on_next(value: T) -> None:
            if not self._has_read(value):
                self._wake()

        def on_completed() -> None:
            nonlocal completed
            completed = True
            self._wake()

        while not self._closed:
            value = self._source.value
            if not self._has_read(value):
                self._read = (value,)
                return value
            if completed:
                break
            self._wakeup = _Wakeup()
            # As `subscribe` does, which has to look first whether these are async.
            subscription = Subscription(self._source, on_next, on_completed)
            try:
                self._source._admit(subscription)
                await self._wakeup.wait()
            finally:
                self._wakeup = None
                subscription.dispose()
        raise StopAsyncIteration

    def _has_read(self, value: T) -> bool:
        return self._read is not None and same(self._read[0], value)

    async def aclose(self) -> None:
        """End the iteration, also for a task that waits in it. Idempotent."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if (wakeup := self._wakeup) is not None:
            wakeup.wake()
