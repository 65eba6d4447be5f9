"""What a callback may be, and how it is called in messages."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from utd_rx.state.errors import AsyncObserverError

_ASYNC: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

INSTEAD_OF_STATE: Final = "`async for value in subject.changes(): ...` in a task"
INSTEAD_OF_EVENTS: Final = (
    "`queue = asyncio.Queue()`, `subscribe(queue.put_nowait)` and `await queue.get()` in a task"
)


def refuse_async(observer: Any, *callbacks: Any, instead: str) -> None:
    """Raise unless every callback can be called without awaiting anything.

    Args:
        observer: A callback, an object with `on_next` and `on_completed`, or None.
        callbacks: More of them, or None.
        instead: What to write instead.

    Raises:
        AsyncObserverError: For an `async def`, which nobody would await.
    """
    methods = (getattr(observer, "on_next", observer), getattr(observer, "on_completed", None))
    for callback in (*methods, *callbacks):
        if callback is not None and _is_async(callback):
            raise AsyncObserverError(
                f"{name_of(callback)} is async, and an observer is not awaited; write {instead} "
                "instead"
            )


def refuse_async_predicate(predicate: object) -> None:
    """Raise for a predicate whose every answer would be a coroutine, which counts as true.

    Raises:
        AsyncObserverError: For an `async def`.
    """
    if callable(predicate) and _is_async(predicate):
        raise AsyncObserverError(
            f"{name_of(predicate)} is async, and a predicate is not awaited; write "
            f"{INSTEAD_OF_STATE} instead"
        )


def name_of(callback: Callable[..., Any]) -> str:
    """Name a callback without showing what a partial or an object holds."""
    return getattr(callback, "__qualname__", type(callback).__name__)


def _is_async(callback: Callable[..., Any]) -> bool:
    code = getattr(callback, "__code__", None)
    if code is not None:
        return bool(code.co_flags & _ASYNC)
    # Partials, and objects with an async __call__.
    call = getattr(callback, "func", callback)
    return any(
        inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f)
        for f in (callback, call, getattr(call, "__call__", None))  # noqa: B004 - not a test of callability
    )
