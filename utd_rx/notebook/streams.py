"""`timeline` and `marble`: what streams did, as a picture of the moment it is looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from reactivex import Observable
from reactivex.abc import DisposableBase

from utd_rx.errors import invalid
from utd_rx.notebook.cells import until_run_again
from utd_rx.notebook.drawing import StreamLane, bars, circles
from utd_rx.sessions.recording import Recording
from utd_rx.sessions.replay import Replay, replay
from utd_rx.sessions.view import View
from utd_rx.testing.marbles import Mark, clock

MAX_VALUES: Final = 500
"""The last values of each stream, which are kept and drawn."""

LEFT_OUT: Final = frozenset(("state", "connected", "call", "statistics"))
"""Streams that say what others say as well, or too much."""

STREAM: Final = type(vars(View)["state"])
"""By what a view declares its streams."""


class StreamPicture:
    """What streams have done so far, drawn anew each time it is shown; `timeline` and `marble`.

    Attributes:
        lanes: The streams, with the last 500 values of each.
    """

    def __init__(
        self,
        streams: dict[str, Observable[Any]],
        now: Callable[[], float],
        draw: Callable[[Sequence[StreamLane], float], str],
        *,
        is_whole: bool = True,
    ) -> None:
        self._now, self._began = now, now()
        self._draw = draw
        self._is_whole = is_whole
        self._noted = {name: deque[Mark[Any]](maxlen=MAX_VALUES) for name in streams}
        self._ended: dict[str, float] = {}
        self._failed: dict[str, Exception] = {}
        self._subscriptions = [self._note(name, one) for name, one in streams.items()]

    @property
    def lanes(self) -> tuple[StreamLane, ...]:
        return tuple(
            StreamLane(name, tuple(marks), self._ended.get(name), self._failed.get(name))
            for name, marks in self._noted.items()
            if self._is_whole or len(marks) > 1
        )

    def svg(self) -> str:
        """Return the picture as it is now."""
        ends = self._ended.values()
        end = max(ends) if len(self._ended) == len(self._noted) else self.elapsed
        return self._draw(self.lanes, end)

    def save(self, path: str | Path) -> None:
        """Write the picture as an SVG file.

        Raises:
            UTDStreamException: `VALIDATION`: the name does not end in `.svg`.
        """
        if Path(path).suffix.lower() != ".svg":
            raise invalid(f"a picture of streams is saved as an .svg file, not as {str(path)!r}")
        Path(path).write_text(self.svg(), encoding="utf-8")

    def close(self) -> None:
        """Note nothing more; what was noted stays. Idempotent."""
        for subscription in self._subscriptions:
            subscription.dispose()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self._now() - self._began

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return f"<StreamPicture of {', '.join(self._noted)}>"

    def _note(self, name: str, stream: Observable[Any]) -> DisposableBase:
        def end() -> None:
            self._ended[name] = self.elapsed

        def fail(error: Exception) -> None:
            self._failed[name] = error
            end()

        return stream.subscribe(
            lambda value: self._noted[name].append(Mark(self.elapsed, value)), fail, end
        )


def timeline(what: View[Any] | Recording | str | Path, *streams: str) -> StreamPicture:
    """Draw a session's streams as bars over time: those that change, or those that are named.

    Of a recording it is the whole; of a session it begins now, and each time it is shown it is up
    to date, until the cell that made it is run again.

    Args:
        what: A session; a `Recording`, its file, or a replay, which stays where it is.
        streams: Names of streams of that kind of session: `"seats"`, `"connection_state"`.

    Raises:
        UTDStreamException: `VALIDATION`: it is neither, there is no such stream, or as `replay`.
    """
    if isinstance(what, Recording):
        what = what.path
    if isinstance(what, str | Path):
        what = replay(what, Replay)
    elif isinstance(what, Replay):
        what = type(what)(what.journal)
    if not isinstance(what, View):
        raise invalid(f"a timeline is of a session or a recording, not of {type(what).__name__}")
    known = _streams_of(what)
    if unknown := [name for name in streams if name not in known]:
        raise invalid(f"no stream {unknown[0]!r}; there are {', '.join(known)}")
    chosen = {name: known[name] for name in streams or known if streams or name not in LEFT_OUT}
    if isinstance(what, Replay):
        recorded = what
        picture = StreamPicture(chosen, lambda: recorded.position, bars, is_whole=bool(streams))
        while recorded.step():
            pass
        return picture
    picture = StreamPicture(chosen, clock(), bars, is_whole=bool(streams))
    until_run_again(picture.close)
    return picture


def marble(*streams: Observable[Any], **named: Observable[Any]) -> StreamPicture:
    """Draw what streams do from now on as a marble diagram, one below the other.

    Each time it is shown it is up to date, until the cell that made it is run again.

    Args:
        streams: A `StateSubject`, what is piped behind one, `session.events`: any observable.
        named: The same, with the names to show.

    Raises:
        UTDStreamException: `VALIDATION`: one is no observable, or no loop runs here and no
            `FakeWorld` lives whose time it could be.
    """
    rows: dict[str, Observable[Any]] = {}
    for number, stream in enumerate(streams, 1):
        rows[str(getattr(stream, "name", "") or f"stream {number}")] = stream
    rows |= named
    for stream in rows.values():
        if not isinstance(stream, Observable):
            raise invalid(f"a marble diagram is of observables, not of {type(stream).__name__}")
    picture = StreamPicture(rows, clock(), circles)
    until_run_again(picture.close)
    return picture


def _streams_of(view: View[Any]) -> dict[str, Observable[Any]]:
    """Return the streams of a view, those of its kind last."""
    return {
        name: getattr(view, name)
        for owner in reversed(type(view).__mro__)
        for name, one in vars(owner).items()
        if isinstance(one, STREAM)
    }
