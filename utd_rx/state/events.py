"""`EventStream`: a hot observable of things that happen, as opposed to a state that is."""

from __future__ import annotations

from collections import deque
from typing import TypeVar

from reactivex import abc
from reactivex.disposable import Disposable

from utd_rx.state.piping import Piped
from utd_rx.state.reports import report

T = TypeVar("T")


class EventStream(Piped[T]):
    """Delivers every event to whoever observes at that moment; nothing is kept for later.

    All observers see the same events in the same order, also when one of them causes the next.
    An observer that raises is reported and disturbs nobody else. Its owner writes with `emit`, on
    one thread; observers get it as a plain `Observable`, which has no such method.
    """

    def __init__(self) -> None:
        super().__init__()
        self._observers: dict[object, abc.ObserverBase[T]] = {}
        # Events caused by an observer wait here until the one at hand has reached everybody;
        # only an observer that never stops causing events makes it grow.
        self._waiting: deque[T] = deque()
        self._is_emitting = False
        self._is_closed = False

    def emit(self, event: T) -> None:
        """Call every observer with `event`, in the order they subscribed; none after `close()`."""
        if not self._is_closed:
            self._waiting.append(event)
            self._catch_up()

    def close(self) -> None:
        """Complete every observer, after the events emitted so far. Idempotent."""
        self._is_closed = True
        self._catch_up()

    def _catch_up(self) -> None:
        if self._is_emitting:
            return
        self._is_emitting = True
        try:
            while self._waiting:
                self._deliver(self._waiting.popleft())
        finally:
            self._is_emitting = False
        if self._is_closed:
            self._complete()

    def _deliver(self, event: T) -> None:
        for observer in list(self._observers.values()):
            try:
                observer.on_next(event)
            except BaseException as error:  # noqa: BLE001 - reported, or an interrupt and raised
                report(error, f"an observer of {type(event).__name__}")

    def _complete(self) -> None:
        observers, self._observers = self._observers, {}
        for observer in observers.values():
            try:
                observer.on_completed()
            except BaseException as error:  # noqa: BLE001 - as above
                report(error, "an observer of the end")

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
