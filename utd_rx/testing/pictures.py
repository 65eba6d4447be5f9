"""What happened in a failing test, as one marble diagram: states, events and what was asked.

A column is a moment at which something happened, so a minute of waiting takes no room. What is
watched costs a tuple for each commit; what it means is worked out when somebody wants the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from attrs import frozen

from utd_rx.sessions.view import Stream, View
from utd_rx.sessions.views import VIEWS, SessionView
from utd_rx.state import Machine, StateSubject
from utd_rx.state.events import EventStream
from utd_rx.testing import marbles
from utd_rx.testing.diagrams import Letters
from utd_rx.testing.marbles import Mark, Timeline
from utd_rx.testing.told import told, told_as

MAX_MOMENTS: Final = 16
"""The last of them are drawn; a picture is for a terminal."""

_LEFT_OUT: Final = frozenset(("state", "connected", "call"))
"""Streams that say what others say as well."""


class Question(Protocol):
    """What was asked of the engine: who asked when, how it is called, and why it was refused."""

    @property
    def at(self) -> float: ...
    @property
    def who(self) -> str: ...
    @property
    def call(self) -> str: ...
    @property
    def arguments(self) -> Mapping[str, object]: ...
    @property
    def refused(self) -> object: ...


class Words(str):
    """What is told as it is."""

    __slots__ = ()


@frozen
class Row:
    """A line of a picture: marks whose times are of one clock, in order.

    Args:
        name: What it is of.
        marks: What came when.
        is_state: Whether the newest one holds until the next.
        ended_at: When it completed, None while it goes on.
    """

    name: str
    marks: tuple[Mark[Any], ...]
    is_state: bool
    ended_at: float | None = None


@frozen
class Watched:
    """A session whose states and room events are kept."""

    name: str
    states: Timeline[Any]
    events: Timeline[Any]

    def rows(self) -> Iterator[Row]:
        """The streams of its kind that changed, then its events."""
        first, *later = self.states.marks
        at = self.states.began + first.at
        kept: Machine[Any, Any, Any] = Machine(
            first.value, lambda _, state, now: (state, ()), perform=print, now=lambda: at
        )
        view = VIEWS.get(type(first.value), SessionView)(kept, EventStream())
        streams = [Timeline(getattr(view, name), lambda: at, name) for name in _names_of(view)]
        for mark in later:
            at = self.states.began + mark.at
            kept.dispatch(mark.value)
        if self.states.ended is not None:
            at = self.states.began + self.states.ended.at
            kept.close()
        for stream in streams:
            if len(stream.marks) > 1 or stream.name == "connection_state":
                yield _row(stream, f"{self.name}.{stream.name}", is_state=True)
        if self.events.marks:
            yield _row(self.events, f"{self.name}.events", is_state=False)


def _names_of(view: View[Any]) -> list[str]:
    """Return the names of a view's streams, those that all kinds have first."""
    return [
        name
        for owner in reversed(type(view).__mro__)
        for name, one in vars(owner).items()
        if isinstance(one, Stream) and name not in _LEFT_OUT
    ]


WATCHED: Final[list[Watched]] = []
_SENT: Final[list[Sequence[Question]]] = []


def begin(now: Callable[[], float] | None = None, sent: Sequence[Question] = ()) -> None:
    """Begin a new page, as `marbles.begin`.

    Args:
        now: The clock of the world that begins.
        sent: What is asked of its engine, a list that grows.
    """
    marbles.begin(now)
    WATCHED.clear()
    _SENT[:] = [sent]


def watch(session: View[Any], name: str) -> None:
    """Keep what a session's states and events are from now on, for `picture`."""
    now = marbles.clock()
    states = Timeline(session.state, now, f"{name}.state")
    WATCHED.append(Watched(name, states, Timeline(session.events, now, f"{name}.events")))


def end(now: Callable[[], float]) -> None:
    """Keep no more of what is watched: what follows is the end of the world with this clock."""
    marbles.end(now)
    for one in WATCHED:
        one.states.dispose()
        one.events.dispose()


def rows() -> list[Row]:
    """Return all that was recorded, watched and sent on this page."""
    recorded = [
        _row(one, one.name, is_state=isinstance(one.stream, StateSubject)) for one in marbles.PAGE
    ]
    watched = [row for one in WATCHED for row in one.rows()]
    asked: dict[str, list[Mark[Any]]] = {}
    for one in (one for sent in _SENT for one in sent):
        asked.setdefault(one.who, []).append(Mark(one.at, _question(one)))
    sent = [Row(f"{who} asked", tuple(marks), is_state=False) for who, marks in asked.items()]
    return [*recorded, *watched, *sent]


def picture(rows: Sequence[Row]) -> str:
    """Draw rows, one below the other; "" where nothing happened."""
    moments = sorted({_moment(mark.at) for row in rows for mark in row.marks})[-MAX_MOMENTS:]
    drawn = [_Drawn(row, moments) for row in rows]
    if not moments:
        return ""
    titles = [f"{moment:g}" for moment in moments]
    widths = [
        2 + max(len(title), *(len(one.cells[n]) for one in drawn)) for n, title in enumerate(titles)
    ]
    margin = 2 + max(len(_HEAD), *(len(row.name) for row in rows))
    head = "".join(title.ljust(width) for title, width in zip(titles, widths, strict=True))
    lines = [f"{_HEAD:{margin}}{head}"]
    lines += [f"{one.row.name:{margin}}{one.filled(widths)}  {one.legend}" for one in drawn]
    return "\n".join(line.rstrip() for line in lines)


_HEAD: Final = "seconds"


class _Drawn:
    """A row's cells: letters at moments."""

    def __init__(self, row: Row, moments: Sequence[float]) -> None:
        self.row = row
        letters = Letters({})
        shown = [mark for mark in row.marks if _moment(mark.at) >= moments[0]]
        before = row.marks[: len(row.marks) - len(shown)]
        if row.is_state and before and (not shown or _moment(shown[0].at) > moments[0]):
            shown = [Mark(moments[0], before[-1].value), *shown]
        self.cells = [
            _grouped([letters.of(mark.value) for mark in shown if _moment(mark.at) == moment])
            for moment in moments
        ]
        self.begun_at = min((_moment(mark.at) for mark in shown), default=None)
        self.moments = moments
        self.legend = ", ".join(f"{one} {told(value)}" for one, value in letters.known.items())

    def filled(self, widths: Sequence[int]) -> str:
        """Cells side by side: dashes where a state holds, and where it ended a line."""
        text, ended_at = "", self.row.ended_at
        for moment, cell, width in zip(self.moments, self.cells, widths, strict=True):
            if ended_at is not None and moment > _moment(ended_at):
                cell, ended_at = "|", None
            is_over = self.row.ended_at is not None and ended_at is None
            holds = self.row.is_state and self.begun_at is not None and moment >= self.begun_at
            text += cell.ljust(width, "-" if holds and not is_over else " ")
        return text if ended_at is None else f"{text.rstrip()}|"


def _grouped(letters: list[str]) -> str:
    return "".join(letters) if len(letters) < 2 else f"({''.join(letters)})"


def _moment(at: float) -> float:
    """Return a time as it is written, so that sums of times meet."""
    return round(at, 3)


def _row(timeline: Timeline[Any], name: str, *, is_state: bool) -> Row:
    marks = tuple(Mark(mark.at + timeline.began, mark.value) for mark in timeline.marks)
    ended = timeline.ended
    return Row(name, marks, is_state, None if ended is None else ended.at + timeline.began)


def _question(one: Question) -> Words:
    """Return a call as it might be written; its room is nearly always the same."""
    told_of = ", ".join(told(value) for name, value in one.arguments.items() if name != "room")
    refused = "" if one.refused is None else f" {told(one.refused)}"
    return Words(f"{one.call}({told_of}){refused}")


@told_as.register
def _(value: Words) -> str:
    return value
