"""What a stream did over time, recorded and compared with a diagram (`testing.diagrams`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from attrs import frozen
from reactivex import Observable

from utd_rx.errors import invalid
from utd_rx.models.checks import POSITIVE, number
from utd_rx.state.reports import running_loop
from utd_rx.testing.diagrams import (
    COMPLETED,
    FAILED,
    Letters,
    Sign,
    drawn,
    parsed,
    place_of,
)
from utd_rx.testing.told import told

T = TypeVar("T")


@frozen
class Mark(Generic[T]):
    """A value, and when it came, in seconds since the recording began."""

    at: float
    value: T


class Timeline(Generic[T]):
    """What a stream has done since `record`.

    Attributes:
        stream: What it is of.
        name: The stream's, for messages.
        began: When it began, by its clock.
        marks: The values so far.
        ended: When it completed or failed, and by which sign; None while it goes on.
    """

    def __init__(self, stream: Observable[T], now: Callable[[], float], name: str) -> None:
        self.stream = stream
        self.name = name
        self.marks: list[Mark[T]] = []
        self.ended: Mark[str] | None = None
        self.began = now()
        self._now = now
        self._subscription = stream.subscribe(
            lambda value: self.marks.append(Mark(self.elapsed, value)),
            lambda _: self._end(FAILED),
            lambda: self._end(COMPLETED),
        )

    def __repr__(self) -> str:
        return f"<Timeline {self.name!r}, {len(self.marks)} values>"

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self._now() - self.began

    @property
    def values(self) -> list[T]:
        """The values so far, without their times."""
        return [mark.value for mark in self.marks]

    def dispose(self) -> None:
        """Record no more. Idempotent."""
        self._subscription.dispose()

    def diagram(self, *, step: float = 1.0) -> str:
        """Return it as a diagram; the first value is `a`, the next new one `b`."""
        return drawn(self.signs(Letters({}), step), step)

    def signs(self, letters: Letters, step: float = 1.0) -> list[Sign]:
        """Return what its diagram consists of; `letters` learn what new ones stand for."""
        signs = [Sign(place_of(mark.at, step), letters.of(mark.value)) for mark in self.marks]
        if self.ended is not None:
            signs.append(Sign(place_of(self.ended.at, step), self.ended.value))
        return signs

    def _end(self, sign: str) -> None:
        self.ended = Mark(self.elapsed, sign)


def record(
    stream: Observable[T], *, now: Callable[[], float] | None = None, name: str | None = None
) -> Timeline[T]:
    """Record what a stream does from now on: a `StateSubject`, `session.events`, or any other.

    Args:
        stream: What to record.
        now: Its clock, in seconds: that of the running loop by default, and where none runs that
            of the newest `FakeWorld`.
        name: For messages; a `StateSubject` has one.

    Raises:
        UTDStreamException: `VALIDATION` where no loop runs, there is no world, and no `now`.
    """
    name = name or str(getattr(stream, "name", "the stream"))
    timeline = Timeline(stream, now or clock(), name)
    PAGE.append(timeline)
    return timeline


def assert_timeline(
    stream: Timeline[Any] | Observable[Any],
    diagram: str,
    *,
    values: Mapping[str, object] | None = None,
    step: float = 1.0,
) -> None:
    """Raise `AssertionError` unless a stream did what a diagram says, since it was recorded.

    All it did counts, and that nothing happened until the end of the diagram.

    Args:
        stream: What `record` returned, or the stream itself, then its newest recording; it must
            be among the last 64 that were recorded.
        diagram: As `utd_rx.testing.diagrams` tells.
        values: What letters stand for: a value to equal, or a callable that judges one.
        step: Seconds that a sign takes.

    Raises:
        UTDStreamException: `VALIDATION`: the stream is not recorded, or the diagram is none.
    """
    __tracebackhide__ = True
    found = (one for one in reversed(PAGE) if one is stream or one.stream is stream)
    if (timeline := next(found, None)) is None:
        raise invalid(f"{stream!r} is not recorded: call record(stream) first, then let time pass")
    wanted, length = parsed(diagram, number(step, "step must be positive", POSITIVE))
    letters = Letters(values or {})
    trouble = _trouble(timeline, wanted, length, letters, step)
    if trouble is None:
        return
    was = drawn(timeline.signs(letters, step), step)
    lines = [f"{timeline.name!r} {trouble}", f"  expected  {diagram}", f"  was       {was}"]
    lines += [f"  {letter} = {told(value)}" for letter, value in letters.known.items()]
    raise AssertionError("\n".join(lines))


def _trouble(
    timeline: Timeline[Any], wanted: list[Sign], length: int, letters: Letters, step: float
) -> str | None:
    """Return what is wrong first, None where all is as wanted."""
    marks: list[Mark[Any]] = [*timeline.marks]
    if timeline.ended is not None:
        marks.append(timeline.ended)
    for sign, mark in zip(wanted, marks, strict=False):
        is_end = mark is timeline.ended
        if sign.text in (COMPLETED, FAILED) and not is_end:
            return f"took {told(mark.value)} at {mark.at:g} s, where it was to end"
        is_it = sign.text == mark.value if is_end else letters.could_be(sign.text, mark.value)
        if not is_it:
            what = "ended" if is_end else f"took {told(mark.value)}"
            return f"{what} at {mark.at:g} s, where {sign.text!r} was to come"
        if place_of(mark.at, step) != sign.step:
            return f"took {sign.text!r} at {mark.at:g} s, not at {sign.step * step:g} s"
    if len(marks) > len(wanted):
        extra = marks[len(wanted)]
        what = "ended" if extra is timeline.ended else f"took {told(extra.value)}"
        return f"{what} at {extra.at:g} s, where nothing was to come any more"
    if len(marks) < len(wanted):
        missing = wanted[len(marks)]
        return f"did not come to {missing.text!r} at {missing.step * step:g} s"
    if timeline.ended is None and place_of(timeline.elapsed, step) < length - 1:
        return (
            f"is {timeline.elapsed:g} s old and the diagram {(length - 1) * step:g} s long: "
            "let more time pass before it is compared"
        )
    return None


PAGE: Final[deque[Timeline[Any]]] = deque(maxlen=64)
"""What was recorded last, for whoever tells of a failing test."""

_CLOCKS: Final[list[Callable[[], float]]] = []
"""Those of worlds, the newest last."""


def begin(now: Callable[[], float] | None = None) -> None:
    """Begin a new page: what was recorded so far is of another test, or of another world.

    Args:
        now: The clock of the world that begins, for `record` where no loop runs, until its `end`.
    """
    PAGE.clear()
    if now is not None:
        _CLOCKS.append(now)


def end(now: Callable[[], float]) -> None:
    """Forget the clock of a world that is over."""
    _CLOCKS[:] = [clock for clock in _CLOCKS if clock != now]


def clock() -> Callable[[], float]:
    """Return the clock of the running loop, else that of the newest world.

    Raises:
        UTDStreamException: `VALIDATION`: there is neither.
    """
    if (loop := running_loop()) is not None:
        return loop.time
    if not _CLOCKS:
        raise invalid("no event loop runs and there is no FakeWorld: pass record(…, now=) a clock")
    return _CLOCKS[-1]
