"""What the state layer raises, to whoever called it, never into a stream; and what is refused."""

from __future__ import annotations

from typing import Any, Final, NoReturn, SupportsIndex

from utd_rx.models.checks import is_async


class StoreClosedError(RuntimeError):
    """An item was dispatched to a store after `close()`."""


class StreamCompletedError(RuntimeError):
    """`until()` waited for a value, and the store closed without it."""


class ImpureStepError(RuntimeError):
    """A step function or a selector dispatched or subscribed; both must be pure."""


class ReadOnlySubjectError(TypeError):
    """Somebody other than its store tried to write a `StateSubject`."""


class AsyncObserverError(TypeError):
    """An `async def` function was given as an observer or predicate; nobody would await it."""


class Uncopied:
    """What is alive: copying or pickling it is refused, and `COPY_INSTEAD` says what to take."""

    COPY_INSTEAD = "what it tells"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(
            f"this {type(self).__name__} is alive and can be neither copied nor pickled: take "
            f"{self.COPY_INSTEAD}"
        )


INSTEAD_OF_STATE: Final = "`async for value in subject.changes(): ...` in a task"
INSTEAD_OF_EVENTS: Final = (
    "`queue = asyncio.Queue()`, `subscribe(queue.put_nowait)` and `await queue.get()` in a task"
)


OBSERVER: Final = "an observer"


def refuse_async(*callbacks: Any, instead: str, kind: str = OBSERVER) -> None:
    """Raise for an `async def` among functions, or objects with `on_next` and `on_completed`.

    Nobody would await it, and as an answer a coroutine is true; `instead` is what to write.
    """
    for callback in callbacks:
        on_next = getattr(callback, "on_next", callback)
        for one in (on_next, getattr(callback, "on_completed", None)):
            if callable(one) and is_async(one):
                # By name, without showing what a partial or an object holds.
                name = getattr(one, "__qualname__", type(one).__name__)
                perform = f"`.pipe(perform({name})).subscribe()`, or " * (kind == OBSERVER)
                raise AsyncObserverError(
                    f"{name} is async, and {kind} is not awaited; write {perform}{instead} instead"
                )
