"""What the core knows of a value derived from its state: how to renew it, and who observes it."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from reactivex import abc
from reactivex.subject import BehaviorSubject

T = TypeVar("T")


def same(old: object, new: object) -> bool:
    """Tell whether `new` is no change from `old`: by `==`, or by identity when that raises or
    answers with an array (numpy, pandas)."""
    if old is new:
        return True
    # A tuple's own `==` looks for the first difference before it looks at the lengths.
    if type(old) is tuple and type(new) is tuple and len(old) != len(new):
        return False
    try:
        answer = old == new
        if answer is True or answer is False:
            return answer
        # An array has a non-empty shape. Its truth value raises, or is true by accident for a
        # single element, so it is never asked for. numpy's scalar booleans have the shape ().
        return not getattr(answer, "shape", ()) and bool(answer)
    except Exception:  # noqa: BLE001 - whatever a foreign __eq__ raises means "cannot compare"
        return False


def _ignore(*_: object) -> None:
    """Stand in for a callback that was not given, or that has been disposed."""


class Subscription(abc.DisposableBase, Generic[T]):
    """One observer of one value; `dispose()` costs O(1) and lets go of the callbacks."""

    __slots__ = ("_derived", "on_completed", "on_next")

    def __init__(
        self,
        derived: Derived[T],
        on_next: Callable[[T], None] | None,
        on_completed: Callable[[], None] | None,
    ) -> None:
        self._derived: Derived[T] | None = derived
        self.on_next: Callable[[T], None] = on_next or _ignore
        self.on_completed: Callable[[], None] = on_completed or _ignore

    @property
    def derived(self) -> Derived[T] | None:
        """What is observed, None once disposed."""
        return self._derived

    def dispose(self) -> None:
        """End the subscription: no further call, but one already begun on another thread may still
        be running. Idempotent, thread-safe."""
        derived = self._derived
        if derived is None or not derived._remove(self):
            return
        # Replaced rather than flagged: a delivery under way finds nothing to call, and pays
        # nothing for finding out.
        self.on_next = self.on_completed = _ignore
        self._derived = None
        derived._released()


class Derived(BehaviorSubject[T]):
    """A value derived from a state, and its line of observers; used with the core's lock held."""

    def __init__(self, selector: Callable[[Any], T], value: T, version: int, name: str) -> None:
        # The stock initialisers would assign `value` and an observer list that nobody uses.
        self.lock = threading.RLock()  # RxPY's operators synchronise on their source's lock
        self.name = name
        self._selector = selector
        self._observers: dict[Subscription[T], None] = {}
        self._line: tuple[Subscription[T], ...] | None = None
        self._failing = False
        self._latest = value
        self._seen = self._changed_at = version

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

    def _add(self, subscription: Subscription[T]) -> None:
        self._observers[subscription] = None
        self._line = None

    def _snapshot(self) -> Sequence[Subscription[T]]:
        """The observers a commit is delivered to: those who were there when it was published."""
        if self._line is None:
            self._line = tuple(self._observers)
        return self._line

    @property
    @abstractmethod
    def cores(self) -> tuple[Any, ...]:
        """The cores whose commits change it."""

    @abstractmethod
    def _admit(self, subscription: Subscription[T]) -> None:
        """Add an observer and call it with the current value."""

    @abstractmethod
    def _remove(self, subscription: Subscription[T]) -> bool:
        """Remove an observer; tell whether it was there. Takes the lock itself."""

    def _released(self) -> None:
        """Hear, without the lock, that one subscription has ended."""
