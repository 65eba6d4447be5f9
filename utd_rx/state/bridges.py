"""From a `StateSubject` to asyncio: wait for a value, iterate over the values.

Both may be fed from any thread; what they do to the reader's loop they do on that loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

from reactivex import abc
from reactivex.disposable import CompositeDisposable

from utd_rx.state.derived import Derived
from utd_rx.state.equality import matcher, same
from utd_rx.state.errors import StreamCompletedError
from utd_rx.state.reports import INTERRUPTS, running_loop

T = TypeVar("T")


class _Wakeup:
    """A future of the current loop that any thread may resolve."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until `wake()`; False when the time ran out first. Cancelling is safe."""
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


class _Mailbox(Generic[T]):
    """The newest value not yet read. A class of its own, so that observing does not keep the
    iterator alive: that is how an abandoned iterator is noticed."""

    __slots__ = ("completed", "fresh", "lock", "read", "wakeup")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.fresh: tuple[T] | None = None
        self.read: tuple[T] | None = None
        self.completed = False
        self.wakeup: _Wakeup | None = None

    def put(self, value: T) -> None:
        with self.lock:
            # Back to what the reader knows already: there is nothing new to tell.
            known = self.read is not None and same(self.read[0], value)
            self.fresh = None if known else (value,)
            wakeup = self.wakeup
        if wakeup is not None and not known:
            wakeup.wake()

    def complete(self) -> None:
        with self.lock:
            self.completed = True
            wakeup = self.wakeup
        if wakeup is not None:
            wakeup.wake()

    def take(self) -> tuple[T] | None:
        """Take the newest value, or arm `wakeup` for its arrival."""
        with self.lock:
            fresh, self.fresh = self.fresh, None
            if fresh is not None:
                self.read = fresh
            self.wakeup = None if fresh is not None or self.completed else _Wakeup()
            return fresh


class Changes(AsyncIterator[T]):
    """The asynchronous iterator of `StateSubject.changes()`.

    It never yields two equal values in a row. A cancelled `anext()` releases the subscription and
    loses nothing: the next one subscribes anew and waits for a value other than the last yielded.
    """

    def __init__(self, source: Derived[T]) -> None:
        self._source = source
        self._mailbox: _Mailbox[T] = _Mailbox()
        self._subscription: abc.DisposableBase | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._busy = False
        self._closed = False

    def __aiter__(self) -> Changes[T]:
        return self

    async def __anext__(self) -> T:
        """Return the newest value not yet seen. Cancelling is safe.

        Raises:
            StopAsyncIteration: The store has closed and its last value has been returned.
            RuntimeError: Another task is waiting on this very iterator.
        """
        if self._busy:
            raise RuntimeError("changes() is already being read by another task")
        mailbox = self._mailbox
        self._busy = True
        try:
            while not self._closed:
                if self._subscription is None:
                    self._loop = asyncio.get_running_loop()
                    self._subscription = self._source.subscribe(mailbox.put, None, mailbox.complete)
                fresh = mailbox.take()
                if fresh is not None:
                    return fresh[0]
                if mailbox.wakeup is None:  # completed
                    break
                await mailbox.wakeup.wait()
        except BaseException:
            self._release()
            raise
        finally:
            self._busy = False
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iteration, also for a task that waits in it. Idempotent."""
        self._closed = True
        self._release()
        self._mailbox.complete()

    def _release(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.dispose()

    def __del__(self) -> None:
        subscription, loop = self._subscription, self._loop
        if subscription is None or loop is None:
            return
        # The collector may run this in the middle of anything, on any thread, under any lock.
        if loop.is_closed():
            subscription.dispose()
        else:
            loop.call_soon_threadsafe(subscription.dispose)
