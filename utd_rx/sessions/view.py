"""What an app sees of rules that run, whatever feeds them: the streams of one machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable

from utd_rx.models.stream_type import SessionType
from utd_rx.protocol.kinds import Kind
from utd_rx.protocol.waiting import Waiting
from utd_rx.state import Machine, StateSubject

St = TypeVar("St", bound=Waiting)
T = TypeVar("T")

Stream: TypeAlias = cached_property[StateSubject[T]]
"""A `StateSubject` of a view; each view has its own."""


def stream(read: Callable[[Any], T], doc: str) -> Stream[T]:
    """Declare a stream: what it shows of the state, and its docstring."""
    declared: Stream[T] = cached_property(lambda view: view.select(read, name=declared.attrname))
    declared.__doc__ = doc
    return declared


class View(Generic[St]):
    """The streams of a session, each a `StateSubject` on one machine; it can be recorded.

    Attributes:
        type: The type of session.
        kind: Its rules.
    """

    kind: Kind[Any]
    type: SessionType

    state: Stream[St] = stream(lambda state: state, "The whole state, one frozen value.")

    def __init__(self, machine: Machine[St, Any, Any], events: Observable[Any]) -> None:
        self._machine = machine
        self._events = events
        # Made now, so that a closed session has them, too.
        for owner in type(self).__mro__:
            for name in [
                name for name, one in vars(owner).items() if isinstance(one, cached_property)
            ]:
                getattr(self, name)

    @property
    def events(self) -> Observable[Any]:
        """Everything that is told, as typed frozen values, hot, after the commit it is part of."""
        return self._events

    def select(self, f: Callable[[St], T], *, name: str = "") -> StateSubject[T]:
        """Derive a stream from the whole state; see `utd_rx.state.Store.select`."""
        return self._machine.select(f, name=name)

    @property
    def _names(self) -> tuple[str, str]:
        """Whose session it is and where, as a recording says it."""
        raise NotImplementedError
