"""What an app sees of rules that run, whatever feeds them: the streams of one machine."""

from __future__ import annotations

import builtins  # a view has a `type` of its own
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast, overload

from reactivex import Observable
from reactivex import operators as ops

from utd_rx.errors import invalid
from utd_rx.models import html
from utd_rx.models.stream_type import SessionType
from utd_rx.protocol.kinds import Kind
from utd_rx.protocol.waiting import Waiting
from utd_rx.state import Machine, StateSubject
from utd_rx.state.errors import Uncopied

St = TypeVar("St", bound=Waiting)
T = TypeVar("T")
E = TypeVar("E")


class Stream(property, Generic[T]):
    """A read-only property of views: a `StateSubject`, each view has its own.

    Args:
        read: Returns what it shows of the state.
        doc: Its docstring.
    """

    def __init__(self, read: Callable[[Any], T], doc: str) -> None:
        super().__init__(lambda view: view._streams[self])
        self.__doc__ = doc
        self.read = read

    if TYPE_CHECKING:

        @overload
        def __get__(self, view: None, owner: type | None = None) -> Self: ...
        @overload
        def __get__(self, view: object, owner: type | None = None) -> StateSubject[T]: ...
        def __get__(self, view: Any, owner: type | None = None) -> Any: ...


class View(Uncopied, Generic[St]):
    """The streams of a session, each a `StateSubject` on one machine; it can be recorded.

    Attributes:
        type: The type of session.
        kind: Its rules.
    """

    COPY_INSTEAD = "`session.state.value`, or a recording: record(session, path)"

    _IN_HTML: ClassVar[tuple[str, ...]] = ()
    """The streams that a notebook shows."""

    kind: Kind[Any]
    type: SessionType

    state: Stream[St] = Stream(lambda state: state, "The whole state, one frozen value.")

    def __init__(self, machine: Machine[St, Any, Any], events: Observable[Any]) -> None:
        self._machine = machine
        self._events = events
        # Made now, so that a closed session has them, too.
        self._streams: dict[Stream[Any], StateSubject[Any]] = {
            one: machine.select(one.read, name=name)
            for owner in type(self).__mro__
            for name, one in vars(owner).items()
            if isinstance(one, Stream)
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._summary}>"

    def _repr_html_(self) -> str:
        rows = [(name, getattr(self, name).value) for name in self._IN_HTML]
        return f"<b>{html.cell(f'{type(self).__name__} {self._summary}')}</b>{html.table(rows)}"

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
    def _summary(self) -> str:
        """What is said of it in a word or two, after its kind."""
        raise NotImplementedError

    @property
    def _names(self) -> tuple[str, str]:
        """Whose session it is and where, as a recording says it."""
        raise NotImplementedError


def _is_a(kind: builtins.type[Any], event: object) -> bool:
    return isinstance(event, kind)
