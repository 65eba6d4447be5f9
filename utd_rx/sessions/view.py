"""What an app sees of rules that run, whatever feeds them: the streams of one machine."""

from __future__ import annotations

import builtins  # a view has a `type` of its own
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Generic, TypeAlias, TypeVar, cast

from reactivex import Observable
from reactivex import operators as ops

from utd_rx.errors import invalid
from utd_rx.models.stream_type import SessionType
from utd_rx.protocol.kinds import Kind
from utd_rx.protocol.waiting import Waiting
from utd_rx.state import Machine, StateSubject

St = TypeVar("St", bound=Waiting)
T = TypeVar("T")
E = TypeVar("E")


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

    def on(self, event_type: builtins.type[E]) -> Observable[E]:
        """Return those of `events` that are of one type, or derived from it.

        As `session.on(ParticipantConnected).subscribe(lambda event: print(event.participant))`;
        the types are in `utd_rx.models.events`, an agent's in `utd_rx.models.agent_events`.

        Raises:
            UTDStreamException: `VALIDATION`: it is no type.
        """
        if not isinstance(event_type, builtins.type):
            wanted = "on() takes a type of events, as ParticipantConnected"
            raise invalid(f"{wanted}, not a {event_type.__class__.__name__}")
        return cast("Observable[E]", self._events.pipe(ops.filter(partial(_is_a, event_type))))

    def select(self, f: Callable[[St], T], *, name: str = "") -> StateSubject[T]:
        """Derive a stream from the whole state; see `utd_rx.state.Store.select`."""
        return self._machine.select(f, name=name)

    @property
    def _names(self) -> tuple[str, str]:
        """Whose session it is and where, as a recording says it."""
        raise NotImplementedError


def _is_a(kind: builtins.type[Any], event: object) -> bool:
    return isinstance(event, kind)
