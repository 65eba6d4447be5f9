"""`StateSubject`: a `BehaviorSubject` that only its store can write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast

from reactivex import abc
from reactivex.subject import BehaviorSubject

from utd_rx.state.bridges import Changes, until
from utd_rx.state.callbacks import INSTEAD_OF_STATE, culprit, refuse_async
from utd_rx.state.core import Core
from utd_rx.state.equality import same
from utd_rx.state.errors import ReadOnlySubjectError
from utd_rx.state.piping import piped

if TYPE_CHECKING:
    from typing import Never

T = TypeVar("T")


def _ignore(*_: object) -> None:
    """Stand in for a callback that was not given, or that has been disposed."""


class Subscription(abc.DisposableBase, Generic[T]):
    """One observer of one subject; `dispose()` costs O(1) and lets go of the callbacks."""

    __slots__ = ("_subject", "on_completed", "on_next")

    def __init__(
        self,
        subject: StateSubject[T],
        on_next: Callable[[T], None] | None,
        on_completed: Callable[[], None] | None,
    ) -> None:
        self._subject: StateSubject[T] | None = subject
        self.on_next: Callable[[T], None] = on_next or _ignore
        self.on_completed: Callable[[], None] = on_completed or _ignore

    def dispose(self) -> None:
        """End the subscription: no further call. Idempotent, thread-safe.

        On another thread than the delivering one, a call already begun may still be running.
        """
        subject = self._subject
        if subject is None or not subject._remove(self):
            return
        # Replaced rather than flagged: a delivery under way finds nothing to call, and pays
        # nothing for finding out.
        self.on_next = self.on_completed = _ignore
        self._subject = None
        subject._released()

    def __repr__(self) -> str:
        return culprit(self.on_next, self._subject.name if self._subject else "")


class StateSubject(BehaviorSubject[T]):
    """A value that changes over time, which everybody may observe and only its store writes.

    Made by `Store.select`; see docs/state.md for what it promises. An observer gets its first value
    on the thread that subscribes, and each later one on the thread that publishes: on the loop of
    a `Machine` that has one, as sessions do; else on the one that dispatched, or was the last to
    leave a callback meanwhile, also that of its own subscribing. On no two threads at once.

    Attributes:
        name: For messages and reprs.
    """

    def __init__(self, core: Core[Any], selector: Callable[[Any], T], name: str) -> None:
        # The stock initialisers would assign `value` and an observer list that nobody uses.
        self.name = name
        self.lock = threading.RLock()  # RxPY's operators synchronise on their source's lock
        self._core = core
        self._selector = selector
        self._observers: dict[Subscription[T], None] = {}
        self._line: tuple[Subscription[T], ...] | None = None
        self._failing = False
        with core.lock:
            self._latest: T = core.probe(selector)
            self._seen = self._changed_at = core.version

    # --- what everybody may do ---

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
        """
        refuse_async(on_next, on_completed, instead=INSTEAD_OF_STATE)
        if isinstance(on_next, abc.ObserverBase) or hasattr(on_next, "on_next"):
            observer = cast("abc.ObserverBase[T]", on_next)
            on_next, on_completed = observer.on_next, observer.on_completed
        # Without RxPY's trampoline: it would hold back what a callback itself subscribes to.
        subscription = Subscription(self, on_next, on_completed)
        self._admit(subscription)
        return subscription

    if not TYPE_CHECKING:  # RxPY's overloads are right about the types

        def pipe(self, *operators: Any) -> Any:
            """As `Observable.pipe`; time operators run on the loop running at subscription."""
            return piped(super().pipe(*operators))

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
        return await until(self, value_or_predicate, timeout)

    def changes(self) -> Changes[T]:
        """Iterate over the values with `async for`: the current one, then each newest one.

        A slow reader skips values, but never the last. The iteration ends when the store closes.
        Cancelling is safe; cancelling, `aclose()` and letting go of the iterator release the
        subscription.
        """
        return Changes(self)

    def __repr__(self) -> str:
        # Without the value: a state may hold tokens.
        return f"<StateSubject {self.name!r}, {len(self._observers)} observers>"

    # --- what nobody may do ---

    if TYPE_CHECKING:
        # A required parameter of type Never makes every call a type error.
        def on_next(self, value: Never) -> None: ...  # type: ignore[override] # only its store writes
        def on_error(self, error: Never) -> None: ...  # type: ignore[override] # only its store writes
        def on_completed(self, refused: Never) -> None: ...  # type: ignore[override] # only its store writes
        def dispose(self, refused: Never) -> None: ...  # type: ignore[override] # only its store writes
    else:

        def _refuse(self, *_: object) -> NoReturn:
            raise ReadOnlySubjectError(
                f"{self!r} is written by its store alone: dispatch an item to the store, and end "
                "a subscription by disposing what subscribe() returned"
            )

        on_next = on_error = on_completed = dispose = _refuse
        _on_next_core = _on_error_core = _on_completed_core = fail = _refuse
        value = value.setter(_refuse)

    # --- what its core does, with the core's lock held ---

    def _recompute(self, state: Any, version: int) -> None:
        """Take over a new state."""
        value = self._selector(state)
        if not same(self._latest, value):
            self._latest = value
            self._changed_at = version
        # Last: a reader without the lock trusts `_latest` as soon as `_seen` is current.
        self._seen = version
        self._failing = False

    def _keep_old(self, version: int) -> bool:
        """Keep the value although the state went on; tell whether this is news."""
        self._seen = version
        was_failing, self._failing = self._failing, True
        return not was_failing

    def _published(self, version: int) -> StateSubject[bool]:
        """Whether the store has published that version."""
        core = self._core
        return StateSubject(core, lambda _: core.version >= version, self.name)

    def _add(self, subscription: Subscription[T]) -> None:
        """Put an observer at the end of the line."""
        self._observers[subscription] = None
        self._line = None

    def _remove(self, subscription: Subscription[T]) -> bool:
        """Remove an observer; tell whether it was there. Takes the lock itself."""
        with self._core.lock:
            if subscription not in self._observers:
                return False
            del self._observers[subscription]
            self._line = None
            if not self._observers:
                self._core.observed.pop(self, None)
        return True

    def _released(self) -> None:
        """Hear, without the lock, that one subscription has ended."""

    def _snapshot(self) -> Sequence[Subscription[T]]:
        """The observers a commit is delivered to: those who were there when it was published."""
        if self._line is None:
            self._line = tuple(self._observers)
        return self._line

    def _admit(self, subscription: Subscription[T]) -> None:
        self._core.admit(self, subscription)
