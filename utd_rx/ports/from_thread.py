"""From a thread to an event loop and back: commands of a session in a program that blocks, as a
GUI, a worker thread or a `def` endpoint of a web server (docs/threads.md)."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from inspect import isawaitable
from typing import Any, Final, ParamSpec, Self, TypeVar, overload

from utd_rx.errors import ConflictReason, UTDStreamException, conflict
from utd_rx.ports.threads import begin

P = ParamSpec("P")
R = TypeVar("R")

LOOK_EVERY: Final = 0.5
"""Seconds between looks whether the loop is still there; a closed one forgets what waits for it."""


class FromThread:
    """Calls functions, async ones above all, on an event loop that runs on another thread.

    Of a session it is `session.from_thread`. Any thread may use it.

    Args:
        loop: Where they run.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._process = os.getpid()

    # What an async function returns is awaited, so the first of two ways to read one counts.
    @overload
    def run(
        self, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def run(self, function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call `function` on the loop and wait: `session.from_thread.run(session.take_seat, 0)`.

        Returns:
            What it returned, awaited where it is async.

        Raises:
            UTDStreamException: `CONFLICT`, foreign loop: an event loop runs on this thread, and
                would stand still meanwhile; closed: the session's runs no more.
            Exception: What `function` raised.

        An interrupt (Ctrl-C) while it waits cancels what was called.
        """
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            message = (
                "run() would hold up the event loop of this thread: await the command where that "
                "is the session's, else `await asyncio.wrap_future(from_thread.submit(command))`"
            )
            raise conflict(ConflictReason.FOREIGN_LOOP, message)
        future = self.submit(function, *args, **kwargs)
        try:
            while not wait((future,), timeout=LOOK_EVERY).done:
                if self._loop.is_closed():
                    raise _ended()
            return future.result()
        except CancelledError as error:
            raise _ended() from error
        finally:
            future.cancel()

    @overload
    def submit(
        self, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[R]: ...
    @overload
    def submit(
        self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[R]: ...
    def submit(
        self, function: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[Any]:
        """As `run`, without waiting: returns the future of what it will return or raise.

        Cancelling the future cancels the call. Its callbacks run on the loop's thread.

        Raises:
            UTDStreamException: `CONFLICT`, closed: the loop runs no more.
        """

        async def call() -> Any:
            result = function(*args, **kwargs)
            return await result if isawaitable(result) else result

        if os.getpid() != self._process:  # where a copy of the loop looks as if it ran
            raise conflict(
                ConflictReason.CLOSED,
                "this process was forked from the one whose event loop it is: ask that one, or "
                "start processes by spawn, which join by themselves",
            )
        called = call()
        try:
            if self._loop.is_running():
                return asyncio.run_coroutine_threadsafe(called, self._loop)
        except RuntimeError:  # closed since
            pass
        called.close()
        raise _ended()


class LoopThread(FromThread):
    """An event loop on a thread of its own, for programs that have none: a GUI, a script.

    As a context manager it runs until the block is left; what still runs then is cancelled. Close
    sessions before: `with LoopThread() as loop: room = loop.run(client.join_audio_room, "u1",
    "lobby")`. What one subscribes to is called on that thread, but for the first value.
    """

    def __init__(self) -> None:
        super().__init__(asyncio.new_event_loop())
        self._until = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="utd_rx loop", daemon=True)

    def __enter__(self) -> Self:
        is_up = threading.Event()
        self._loop.call_soon(is_up.set)
        begin(self._thread)
        is_up.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._until.set)
        self._thread.join()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._wait())

    async def _wait(self) -> None:
        await self._until.wait()


def _ended() -> UTDStreamException:
    return conflict(
        ConflictReason.CLOSED, "it ended, as the event loop that it belongs to runs no more"
    )
