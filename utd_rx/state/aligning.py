"""RxPY's joining operators over streams of one store: one commit is one value of theirs.

A commit reaches the observers of each stream in turn. An operator that joins streams is told of
each by itself, so between the first and the last it would show a pair that never was:

| operator | what is done |
| --- | --- |
| `combine_latest` | what it emits is held until the commit is delivered; the last counts |
| `scan` | likewise, where several ways lead to it: behind a `merge` |
| `with_latest_from`, `sample`, `switch_map` | what makes them emit is held, and all of it counts |
| `zip` | is refused: the n-th value of one state has nothing to do with the n-th of another |

A stream is told only of its observer, so what stands behind that is found out: RxPY's callbacks
hold the observer they pass values on to, in a cell of their closure or as that whose method they
are. Nothing is changed but the observers of such operators, each in its own subscription.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any, Final

from attrs import field, frozen
from reactivex import abc
from reactivex.observer import AutoDetachObserver
from reactivex.subject import Subject

from utd_rx.errors import invalid
from utd_rx.state.derived import Derived, Subscription
from utd_rx.state.joining import Join, OnNext

_OPERATORS: Final = ("reactivex.", "utd_rx.state.")
_COMBINES: Final = "reactivex.observable.combinelatest"
_REDUCES: Final = "reactivex.operators._scan"
_REFUSED: Final = "reactivex.observable.zip"
_TRIGGERED: Final = {
    "reactivex.observable.withlatestfrom",
    "reactivex.operators._sample",
    "reactivex.operators._switchlatest",
}
_ONE_FOR_ONE: Final = {"reactivex.operators._map"}
"""Operators by the modules of their functions. Behind one that lets only some values through,
`zip` counts what happened, which may be meant."""


def align(subscription: Subscription[Any], on_error: abc.OnError | None) -> None:
    """Let no operator that subscribes be told of half a commit; before its first value.

    Raises:
        UTDStreamException: `VALIDATION`: it is a `zip` of several streams of one store.
    """
    state, on_next = subscription.derived, subscription.on_next
    if state is None or not _is_operator(on_next):
        return
    seen: set[int] = set()
    todo = [_Step(on_next, on_error, None, None, is_one_for_one=True)]
    while todo:
        step = todo.pop()
        before = step.before
        modules, observers = _behind(step.on_next)
        if modules & _TRIGGERED:
            before = _trigger(step, observers, subscription)
        for observer in observers:
            if id(observer) in seen:
                continue
            seen.add(id(observer))
            last = before
            if modules & {_COMBINES, _REDUCES}:
                last = _join_before(observer)
                combines = _COMBINES in modules
                last.reached(subscription, before, combines=combines, reduces=not combines)
            elif _REFUSED in modules and step.is_one_for_one:
                join = _join_before(observer)
                join.reached(subscription, before)
                _refuse_zip(join.others(state), state)
            goes_on = step.is_one_for_one and modules <= _ONE_FOR_ONE
            behind = _plain(observer._on_next)
            todo.append(_Step(behind, observer._on_error, observer, last, is_one_for_one=goes_on))


@frozen
class _Step:
    """A callback on the way from a stream; who holds it, and the join before it."""

    on_next: OnNext
    on_error: abc.OnError | None
    holder: AutoDetachObserver[Any] | None
    before: Join | None
    is_one_for_one: bool = field(kw_only=True)


def _trigger(
    step: _Step, observers: list[AutoDetachObserver[Any]], subscription: Subscription[Any]
) -> Join | None:
    """Hold what makes an operator emit until what it then emits is up to date; one of its callbacks
    passes values on, and of the other only the errors lead to its output."""
    output = observers[0] if observers else getattr(step.on_error, "__self__", None)
    if not isinstance(output, AutoDetachObserver):
        return step.before
    end = _join_before(output)
    if not observers:
        end.feeds(step.before)
        return None
    if step.holder is not None:
        join = _join_before(step.holder)
    else:
        join = Join(step.on_next, None)
        subscription.on_next = join
        subscription.on_completed = join.before(subscription.on_completed)
    join.reached(subscription, step.before, triggers=True)
    end.is_triggered_by(join)
    return join


def _behind(callback: object) -> tuple[set[str], list[AutoDetachObserver[Any]]]:
    """Return the modules of an operator's callback and of what it calls, and who is next."""
    modules: set[str] = set()
    observers: list[AutoDetachObserver[Any]] = []
    seen: set[int] = set()
    todo = [callback]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, AutoDetachObserver):
            observers.append(one)
        elif isinstance(one, MethodType):
            owner: Any = one.__self__
            shares = isinstance(owner, Subject) and not isinstance(owner, Derived)
            todo += owner.observers if shares else [owner]
        elif isinstance(one, FunctionType) and _is_operator(one):
            modules.add(one.__module__)
            todo += _cells(one)
    return modules, observers


def _cells(function: FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue


def _is_operator(callback: object) -> bool:
    return (getattr(callback, "__module__", None) or "").startswith(_OPERATORS)


def _plain(on_next: OnNext) -> OnNext:
    return on_next.on_next if isinstance(on_next, Join) else on_next


def _join_before(observer: AutoDetachObserver[Any]) -> Join:
    """Return the join before an observer, which is set up there when it is the first."""
    known = observer._on_next
    if isinstance(known, Join):
        return known
    join = Join(known, observer)
    observer._on_next = join
    observer._on_completed = join.before(observer._on_completed)
    return join


def _refuse_zip(others: list[Subscription[Any]], state: Derived[Any]) -> None:
    if not others:
        return
    names = [repr(other.derived.name) for other in others if other.derived is not None]
    for other in others:  # the operator is never done subscribing, so nobody else ends them
        other.dispose()
    raise invalid(
        f"zip pairs the n-th value of {' and '.join([*names, repr(state.name)])} with each other, "
        "which are states of one store and do not change equally often: write combine_state or "
        "combine_latest instead"
    )
