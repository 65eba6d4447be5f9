"""Whose loop something is: one rule for every command that a loop owns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from utd_rx.errors import ConflictReason, conflict

P = ParamSpec("P")
R = TypeVar("R")


def owned(method: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Have a method of something with an `_owner` refused on every loop but the owner's."""

    @wraps(method)
    async def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        cast("Any", args[0])._owner.check()
        return await method(*args, **kwargs)

    return checked


class OneLoop:
    """Lets what a message calls `what` belong to the event loop of the first `check`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self) -> None:
        """Return in the loop that owns it; where another runs, or none, raise `FOREIGN_LOOP`."""
        loop = this_loop(self._what)
        if self._loop is None:
            self._loop = loop
        if loop is not self._loop:
            raise conflict(
                ConflictReason.FOREIGN_LOOP,
                f"this {self._what} belongs to another event loop: hand the call over to that one, "
                f"as a session's `from_thread` does, or make one {self._what} per loop",
            )


async def on_loop(
    loop: asyncio.AbstractEventLoop | None, command: Coroutine[Any, Any, None]
) -> None:
    """Carry out a command on the loop that has something open; here where that is None, or runs no
    more. Cancelling cancels it."""
    if loop is None or loop is asyncio.get_running_loop() or not loop.is_running():
        await command
    else:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(command, loop))


def this_loop(what: str) -> asyncio.AbstractEventLoop:
    """Return the loop that runs here, or raise `FOREIGN_LOOP`: `what` needs one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise conflict(
            ConflictReason.FOREIGN_LOOP,
            f"a {what} needs a running event loop of asyncio, and here is none: use it in an "
            "`async def` that asyncio.run() runs, or from a thread by a session's `from_thread` "
            "or a LoopThread; trio has no such loop",
        ) from None
