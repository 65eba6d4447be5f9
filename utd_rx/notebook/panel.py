"""`watch`: a session as a live panel below a cell."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import anywidget
import traitlets
from reactivex.disposable import CompositeDisposable, Disposable
from reactivex.subject import Subject

from utd_rx.errors import invalid
from utd_rx.models.agent_events import AgentAudio, TranscriptDelta
from utd_rx.models.checks import POSITIVE, number
from utd_rx.models.events import ActiveSpeakersChanged
from utd_rx.notebook.cells import until_run_again
from utd_rx.notebook.media import PanelMedia
from utd_rx.notebook.shown import for_eyes, shown
from utd_rx.sessions.listening import Listening
from utd_rx.sessions.view import View
from utd_rx.state import throttle
from utd_rx.testing.marbles import clock
from utd_rx.testing.told import told

MAX_EVENTS: Final = 40
"""The last events, which are kept and shown."""

MAX_UPDATES_PER_SECOND: Final = 20.0  # an eye does not follow more

UNTOLD: Final = (ActiveSpeakersChanged, AgentAudio, TranscriptDelta)
"""Events that would hide all others, and are seen elsewhere in the panel."""

_HERE: Final = Path(__file__).parent


class Panel(anywidget.AnyWidget):
    """A session as it is, below a cell; made by `watch`.

    Attributes:
        shown: Its values (`utd_rx.notebook.shown`).
        log: Its last events: `at`, seconds since the panel began, and `text`.
        levels: How loud the others are, 0 to 1 by identity.
        thumbnails: What they look like, PNG files by identity.
        is_live: Whether it follows the session still.
    """

    _esm = _HERE / "panel.js"
    _css = _HERE / "panel.css"
    shown = traitlets.Dict().tag(sync=True)
    log: Any = traitlets.List().tag(sync=True)
    levels = traitlets.Dict().tag(sync=True)
    thumbnails = traitlets.Dict().tag(sync=True)
    is_live = traitlets.Bool(default_value=True).tag(sync=True)

    def __init__(self, session: View[Any], seconds_per_update: float) -> None:
        super().__init__(shown=shown(session))
        self._session = session
        self._now = clock()
        self._began = self._now()
        self._events: deque[tuple[float, object]] = deque(maxlen=MAX_EVENTS)
        self._news: Subject[None] = Subject()
        self._media: PanelMedia | None = None
        self._following = CompositeDisposable(
            self._news.pipe(throttle(seconds_per_update)).subscribe(lambda _: self._show()),
            session.events.subscribe(self._note),
        )
        if isinstance(session, Listening):
            self._media = PanelMedia(session, self._touch)
            self._following.add(Disposable(self._media.close))
        self._following.add(session.state.subscribe(lambda _: self._touch(), None, self.release))

    def __repr__(self) -> str:
        return f"<Panel of {self.shown.get('title', '')!r}, {'live' if self.is_live else 'over'}>"

    def release(self) -> None:
        """Follow the session no more; the panel shows what was last. Idempotent.

        Called when the session closes, when the cell that made the panel is run again, and at the
        end of the kernel. On the session's loop.
        """
        if self.is_live:
            self._show()
            self.is_live = False
            self._following.dispose()

    def close(self) -> None:
        """`release`, and be gone from the page. Idempotent."""
        if hasattr(self, "_following"):
            self.release()
        super().close()

    def _note(self, event: object) -> None:
        if not isinstance(event, UNTOLD):
            self._events.append((self._now() - self._began, event))
            self._touch()

    def _touch(self) -> None:
        self._news.on_next(None)

    def _show(self) -> None:
        """Send what has changed since the last time, in one message."""
        with self.hold_sync():
            self.shown = shown(self._session)
            self.log = for_eyes(
                [{"at": _stamp(at), "text": told(event)} for at, event in self._events]
            )
            if self._media is not None:
                self.levels = for_eyes(self._media.levels)
                self.thumbnails = for_eyes(self._media.thumbnails)


def watch(session: View[Any], *, updates_per_second: float = 10.0) -> Panel:
    """Show a session live below the cell: connection, seats or stage or call, who is there and how
    loud, chat, and what happens. The last line of a cell, or `display(watch(session))`.

    Where others can be heard, their microphones are received to measure them, 16 at most; and of a
    stage or a video call the smallest pictures of nine cameras, two a second.

    Args:
        session: Any session, or a replay; its loop is the one that runs here.
        updates_per_second: At most so often the panel changes, 20 at most.

    Raises:
        UTDStreamException: `VALIDATION`: it is no session, or the rate is out of range.
    """
    if not isinstance(session, View):
        raise invalid(f"watch takes a session or a replay, not {type(session).__name__}")
    rule = "updates_per_second must be in (0, 20]"
    rate = number(updates_per_second, rule, POSITIVE, MAX_UPDATES_PER_SECOND)
    panel = Panel(session, 1 / rate)
    until_run_again(panel.close)
    return panel


def _stamp(seconds: float) -> str:
    """Return a time as a log shows it: 0:01:02.5."""
    return str(timedelta(seconds=round(seconds, 1)))[:9]
