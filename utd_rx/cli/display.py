"""Where a session is shown: a picture on a terminal, lines elsewhere, JSON for machines."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO

from utd_rx.cli import is_there

if TYPE_CHECKING:
    from reactivex.disposable import CompositeDisposable
    from rich.console import Console, RenderableType

REDRAW: Final = 0.125
"""Seconds between two pictures: drawing holds the GIL, which the sound needs too."""

HINT: Final = "for a live view: pip install 'utd-rx[cli]'"


Now = Callable[[], float]
"""Says the time, in seconds."""


class SessionDisplay(Protocol):
    """Shows what happens to a session, and how it stands."""

    def event(self, what: str, value: object, line: str) -> None:
        """Show something that happened, as `line` for a reader; it stays."""

    def state(self, name: str, value: object) -> None:
        """Show a new value of a stream, unless the picture has it."""

    def draw(self, picture: Callable[[], RenderableType]) -> None:
        """Show how things stand, below what stays."""

    def close(self) -> None:
        """Leave what stays, and nothing else."""


class LiveDisplay:
    """A terminal: lines that stay, and below them a picture that changes."""

    def __init__(self, console: Console, now: Now | None = None) -> None:
        from rich.live import Live

        self._console = console
        self._now = now
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def event(self, what: str, value: object, line: str) -> None:
        self._console.print(_stamped(line, self._now), markup=False, highlight=False, emoji=False)

    def state(self, name: str, value: object) -> None:
        pass

    def draw(self, picture: Callable[[], RenderableType]) -> None:
        self._live.start()
        self._live.update(picture(), refresh=True)

    def close(self) -> None:
        self._live.stop()


class LineDisplay:
    """A file, a pipe, a dumb terminal: one line for each change."""

    def __init__(self, out: TextIO, now: Now | None = None) -> None:
        self._out = out
        self._now = now
        self._told: dict[str, str] = {}

    def event(self, what: str, value: object, line: str) -> None:
        _print(_stamped(line, self._now), self._out)

    def state(self, name: str, value: object) -> None:
        from utd_rx.cli.plain import line_of

        line = line_of(name, value)
        if self._told.get(name) != line:  # of some values it tells not all
            self._told[name] = line
            self.event(name, value, line)

    def draw(self, picture: Callable[[], RenderableType]) -> None:
        pass

    def close(self) -> None:
        pass


class JsonDisplay:
    """A machine: `{"at": seconds, "event" or "state": its name, "value": …}` each time."""

    def __init__(self, out: TextIO, now: Now = time.time) -> None:
        self._out = out
        self._now = now

    def event(self, what: str, value: object, line: str) -> None:
        self._print(event=what, value=value)

    def state(self, name: str, value: object) -> None:
        self._print(state=name, value=value)

    def draw(self, picture: Callable[[], RenderableType]) -> None:
        pass

    def close(self) -> None:
        pass

    def _print(self, **fields: object) -> None:
        from utd_rx.cli.plain import json_line

        _print(json_line(at=round(self._now(), 3), **fields), self._out)


def display(*, as_json: bool, now: Now | None = None) -> SessionDisplay:
    """Return what fits standard output; `now` says the time where it is not the clock's."""
    if as_json:
        return JsonDisplay(sys.stdout, now or time.time)
    if sys.stdout.isatty():
        if not is_there("rich"):
            print(HINT, file=sys.stderr)
            return LineDisplay(sys.stdout, now)
        from rich.console import Console

        console = Console()
        if not console.is_dumb_terminal:
            return LiveDisplay(console, now)
    return LineDisplay(sys.stdout, now)


def _print(line: str, out: TextIO) -> None:
    """Print a line; when nobody reads any more, ask this process to end."""
    try:
        print(line, file=out, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        signal.raise_signal(signal.SIGTERM)


def _stamped(line: str, now: Now | None) -> str:
    return line if now is None else f"{now():7.2f} s  {line}"


def show(view: Any, names: Iterable[str], display: SessionDisplay) -> CompositeDisposable:
    """Tell `display` every value of these streams of a session, or of a recorded one."""
    from reactivex.disposable import CompositeDisposable

    subscribed = (getattr(view, name).subscribe(partial(display.state, name)) for name in names)
    return CompositeDisposable(*subscribed)
