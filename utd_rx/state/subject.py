"""`StateSubject`: a `BehaviorSubject` that only its store can write."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, cast

from reactivex import abc

from utd_rx.models import html
from utd_rx.state.aligning import align
from utd_rx.state.bridges import Changes, until
from utd_rx.state.core import Core
from utd_rx.state.derived import Derived, Subscription
from utd_rx.state.errors import INSTEAD_OF_STATE, ReadOnlySubjectError, refuse_async
from utd_rx.state.piping import Piping

if TYPE_CHECKING:
    from typing import Never

T = TypeVar("T")

MAX_SHOWN: Final = 200
"""Characters of a value in a repr, which ends in logs; a roster may have 10,000 people."""


class StateSubject(Piping, Derived[T]):
    """A value that changes over time, which everybody may observe and only its store writes.

    Made by `Store.select`; see docs/state.md for what it promises. An observer gets its first value
    on the thread that subscribes, and each later one on the thread that publishes: on the loop of
    a `Machine` that has one, as sessions do; else on the one that dispatched, or was the last to
    leave a callback meanwhile, also that of its own subscribing. On no two threads at once. Its
    `name` is for messages.
    """

    COPY_INSTEAD = "its `value`"

    def __init__(self, core: Core[Any], selector: Callable[[Any], T], name: str) -> None:
        self._core = core
        with core.lock:
            super().__init__(selector, core.probe(selector), core.version, name)

    @property
    def value(self) -> T:  # type: ignore[override] # a writable attribute in RxPY; ours is not
        """The current value; also after the store has closed."""
        core = self._core
        if self._seen != core.version:
            core.compute(self)
            core.report_failures()
        return self._latest

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Call `on_next` with the current value at once, then with every later one.

        Args:
            on_next: A callback, or an observer. What it raises is reported and harms nobody.
            on_error: Accepted for RxPY's sake; a state stream never fails.
            on_completed: Called when the store closes.
            scheduler: Accepted for RxPY's sake; deliveries need no scheduler.

        Raises:
            AsyncObserverError: For an `async def`, which nobody would await.
            UTDStreamException: `VALIDATION`: by a `zip` with another stream of the same store.
        """
        refuse_async(on_next, on_completed, instead=INSTEAD_OF_STATE)
        if isinstance(on_next, abc.ObserverBase) or hasattr(on_next, "on_next"):
            observer = cast("abc.ObserverBase[T]", on_next)
            on_next, on_completed = observer.on_next, observer.on_completed
        # Without RxPY's trampoline: it would hold back what a callback itself subscribes to.
        subscription = Subscription(self, on_next, on_completed)
        align(subscription, on_error)
        self._admit(subscription)
        return subscription

    async def until(
        self, value_or_predicate: T | Callable[[T], bool], *, timeout: float | None = None
    ) -> T:
        """Wait for a value that equals, or satisfies, the argument and return it.

        The current value counts, unless what has been committed by now is still to be published:
        then the value after that. Cancelling is safe and releases the subscription.

        Args:
            value_or_predicate: A value to equal, or a callable that judges one.
            timeout: In seconds; None waits for as long as the store is open.

        Raises:
            TimeoutError: No such value in time.
            StreamCompletedError: The store closed without such a value.
            AsyncObserverError: For an `async def` predicate, whose answer nobody would await.
            Exception: Whatever the predicate raised.
        """
        core = self._core
        # A command awaits what its own commit has led to. While another thread holds up
        # publishing, the value may be older than that, and must not pass for its outcome.
        due = core.head_version
        is_current = StateSubject(core, lambda _: core.version >= due, self.name)
        return await until(self, is_current, value_or_predicate, timeout)

    def changes(self) -> Changes[T]:
        """Iterate over the values with `async for`: the current one, then each newest one.

        A slow reader skips values, but never the last. The iteration ends when the store closes.
        Cancelling is safe; cancelling, `aclose()` and letting go of the iterator release the
        subscription.
        """
        return Changes(self)

    def __repr__(self) -> str:
        return (
            f"<StateSubject {self.name!r}: {shown(self.value)}, {len(self._observers)} observers>"
        )

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows, where the value, or each of several, has such a form."""
        value: object = self.value
        parts = value if isinstance(value, tuple) and value else (value,)
        has_form = all(hasattr(part, "_repr_html_") for part in parts[: html.MAX_ROWS])
        return html.cell(value) if has_form else None

    if TYPE_CHECKING:
        # A required parameter of type Never makes every call a type error.
        def on_next(self, value: Never) -> None: ...  # type: ignore[override] # only its store writes
        def on_error(self, error: Never) -> None: ...  # type: ignore[override] # only its store writes
        def on_completed(self, refused: Never) -> None: ...  # type: ignore[override] # only its store writes
        def dispose(self, refused: Never) -> None: ...  # type: ignore[override] # only its store writes
    else:

        def _refuse(self, *_: object) -> NoReturn:
            raise ReadOnlySubjectError(
                f"the StateSubject {self.name!r} is written by its store alone: dispatch an item "
                "to the store, and end a subscription by disposing what subscribe() returned"
            )

        on_next = on_error = on_completed = dispose = _refuse
        _on_next_core = _on_error_core = _on_completed_core = fail = _refuse
        value = value.setter(_refuse)

    @property
    def cores(self) -> tuple[Core[Any], ...]:
        return (self._core,)

    def _remove(self, subscription: Subscription[T]) -> bool:
        with self._core.lock:
            if subscription not in self._observers:
                return False
            del self._observers[subscription]
            self._line = None
            if not self._observers:
                self._core.observed.pop(self, None)
        return True

    def _admit(self, subscription: Subscription[T]) -> None:
        self._core.admit(self, subscription)


def shown(value: object) -> str:
    """Return a value's repr, cut where it is long."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
