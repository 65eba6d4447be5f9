"""`EventStream`: a hot observable of things that happen, as opposed to a state that is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from operator import methodcaller
from typing import TypeVar

from reactivex import abc
from reactivex.disposable import Disposable

from utd_rx.state.piping import Piped
from utd_rx.state.reports import report

T = TypeVar("T")


class EventStream(Piped[T]):
    """Delivers every event to whoever observes at that moment, in the same order to all of them,
    also when one causes the next. Its owner writes with `emit`, on one thread."""

    def __init__(self) -> None:
        super().__init__()
        self._observers: dict[object, abc.ObserverBase[T]] = {}
        # Events caused by an observer wait here until the one at hand has reached everybody;
        # only an observer that never stops causing events makes it grow.
        self._waiting: deque[tuple[str, Callable[[abc.ObserverBase[T]], None]]] = deque()
        self._is_emitting = False
        self._is_closed = False

    def __repr__(self) -> str:
        stands = "over" if self._is_closed else f"{len(self._observers)} observers"
        return f"<EventStream, {stands}>"

    def emit(self, event: T) -> None:
        """Call every observer with `event`, in the order they subscribed; none after `close()`."""
        if not self._is_closed:
            self._tell(type(event).__name__, methodcaller("on_next", event))

    def close(self) -> None:
        """Complete every observer, after the events emitted so far. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._tell("the end", methodcaller("on_completed"))

    def _tell(self, what: str, notify: Callable[[abc.ObserverBase[T]], None]) -> None:
        self._waiting.append((what, notify))
        if self._is_emitting:
            return
        self._is_emitting = True
        try:
            while self._waiting:
                what, notify = self._waiting.popleft()
                for observer in list(self._observers.values()):
                    try:
                        notify(observer)
                    except BaseException as error:  # noqa: BLE001 - or an interrupt, and raised
                        report(error, f"an observer of {what}")
        finally:
            self._is_emitting = False
        if self._is_closed:
            self._observers.clear()

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        if self._is_closed:
            observer.on_completed()
            return Disposable()
        key = object()
        self._observers[key] = observer

        def forget() -> None:
            self._observers.pop(key, None)

        return Disposable(forget)
