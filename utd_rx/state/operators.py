"""Operators for state: RxPY's are right for most purposes, these for time and for edges.

RxPY's time operators may fall back to timer threads, and its `throttle_first` may end on a stale
value. These run on the loop running at subscription, unless `scheduler=` says otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import reactivex
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from utd_rx.models.checks import POSITIVE, number
from utd_rx.state.bridges import matcher
from utd_rx.state.piping import loop_scheduler, piped

T = TypeVar("T")

Operator = Callable[[Observable[T]], Observable[T]]


_SECONDS: Final = "seconds must be a number that is not negative"


def debounce(seconds: float, *, scheduler: abc.SchedulerBase | None = None) -> Operator[T]:
    """Emit a value once nothing newer has come for `seconds`, and the last one at completion."""
    number(seconds, _SECONDS, 0.0)
    return _on_loop(scheduler, lambda chosen: ops.debounce(seconds, chosen))


def sample(seconds: float, *, scheduler: abc.SchedulerBase | None = None) -> Operator[T]:
    """Emit the newest value every `seconds`, if there is a new one: for plots and meters."""
    number(seconds, _SECONDS, 0.0)
    return _on_loop(scheduler, lambda chosen: ops.sample(seconds, chosen))


def throttle(seconds: float, *, scheduler: abc.SchedulerBase | None = None) -> Operator[T]:
    """Emit at once, then at most one value per `seconds`: the newest, and always the last."""
    seconds = number(seconds, "seconds must be positive", POSITIVE)
    return _on_loop(scheduler, lambda chosen: lambda source: _throttled(source, seconds, chosen))


def became(value_or_predicate: T | Callable[[T], bool]) -> Operator[T]:
    """Emit a value when it begins to equal, or satisfy, the argument.

    A value that does so already at subscription has not become anything; `until` counts it.
    Raises `AsyncObserverError` for an `async def` predicate, whose answer nobody would await.
    """
    matches = matcher(value_or_predicate)

    def operator(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            matched = True

            def on_next(value: T) -> None:
                nonlocal matched
                before, matched = matched, bool(matches(value))
                if matched and not before:
                    observer.on_next(value)

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        turned: Observable[T] = piped(reactivex.create(subscribe))
        return turned

    return operator


def held_for(
    value_or_predicate: T | Callable[[T], bool],
    seconds: float,
    *,
    pause: float = 0.0,
    scheduler: abc.SchedulerBase | None = None,
) -> Operator[T]:
    """Emit the newest value when values have equalled, or satisfied, the argument for `seconds`.

    Once each time they do so; what does already at subscription counts from then on. For "has been
    alone for a minute", say: `room.remote_participants.pipe(held_for((), 60))`.

    Args:
        value_or_predicate: A value to equal, or a callable that judges one; none that is async.
        seconds: For how long, without a break.
        pause: Seconds; what is shorter is no break.
        scheduler: Whose time it is, that of the running loop by default.

    Raises:
        UTDStreamException: `VALIDATION`: times that are none.
        AsyncObserverError: For an `async def` predicate, whose answer nobody would await.
    """
    matches = matcher(value_or_predicate)
    number(seconds, _SECONDS, 0.0)
    number(pause, "pause must be seconds, not negative", 0.0)
    return _on_loop(
        scheduler, lambda chosen: lambda source: _held(source, matches, seconds, pause, chosen)
    )


def _on_loop(
    own: abc.SchedulerBase | None, make: Callable[[abc.SchedulerBase], Operator[T]]
) -> Operator[T]:
    """Choose the scheduler when somebody subscribes, for only then the right loop is running; what
    is before the operator gets one, too, or a time operator there would start a timer thread."""

    def operator(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], given: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            chosen = own or given or loop_scheduler()
            return make(chosen)(source).subscribe(observer, scheduler=given or chosen)

        return reactivex.create(subscribe)

    return operator


def _throttled(
    source: Observable[T], seconds: float, scheduler: abc.SchedulerBase
) -> Observable[T]:
    def subscribe(
        observer: abc.ObserverBase[T], given: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        # Held while emitting: the source may be fed by another thread than the timer's.
        lock = threading.RLock()
        timer = SerialDisposable()
        waiting: list[T] = []
        is_open = True

        def arm() -> None:
            timer.disposable = scheduler.schedule_relative(seconds, on_timer)

        def on_timer(_: abc.SchedulerBase, __: Any = None) -> None:
            nonlocal is_open
            with lock:
                is_open = not waiting
                if waiting:
                    arm()
                    observer.on_next(waiting.pop())

        def on_next(value: T) -> None:
            nonlocal is_open
            with lock:
                if not is_open:
                    waiting[:] = [value]
                    return
                is_open = False
                arm()
                observer.on_next(value)

        def on_completed() -> None:
            with lock:
                timer.dispose()
                if waiting:
                    observer.on_next(waiting.pop())
                observer.on_completed()

        subscription = source.subscribe(on_next, observer.on_error, on_completed, scheduler=given)
        return CompositeDisposable(subscription, timer)

    return reactivex.create(subscribe)


def _held(
    source: Observable[T],
    matches: Callable[[T], bool],
    seconds: float,
    pause: float,
    scheduler: abc.SchedulerBase,
) -> Observable[T]:
    def subscribe(
        observer: abc.ObserverBase[T], given: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        lock = threading.RLock()
        due, resting = SerialDisposable(), SerialDisposable()
        newest: list[T] = []
        is_counting = is_resting = is_due = False

        def end(*_: Any) -> None:
            nonlocal is_counting, is_resting, is_due
            with lock:
                is_counting = is_resting = is_due = False
                due.disposable = Disposable()

        def on_due(*_: Any) -> None:
            nonlocal is_due
            with lock:
                is_due = is_resting
                if is_counting and not is_resting:
                    observer.on_next(newest[0])

        def rest() -> None:
            nonlocal is_resting
            if not pause:
                end()
            elif is_counting and not is_resting:
                is_resting = True
                resting.disposable = scheduler.schedule_relative(pause, end)

        def on_next(value: T) -> None:
            nonlocal is_counting, is_resting, is_due
            with lock:
                if not matches(value):
                    rest()
                    return
                newest[:] = [value]
                was_due, is_due, is_resting = is_due, False, False
                resting.disposable = Disposable()
                if not is_counting:
                    is_counting = True
                    due.disposable = scheduler.schedule_relative(seconds, on_due)
                elif was_due:
                    observer.on_next(value)

        subscription = source.subscribe(
            on_next, observer.on_error, observer.on_completed, scheduler=given
        )
        return CompositeDisposable(subscription, due, resting)

    return reactivex.create(subscribe)
