"""What the state layer raises: to whoever called it, never into a stream."""

from __future__ import annotations


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
