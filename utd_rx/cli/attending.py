"""Being in a session with a terminal: what `utd-rx join`, `live` and `call` have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from attrs import frozen

from utd_rx.audio.speaker import Speaker
from utd_rx.cli.cockpit import Cockpit, Command
from utd_rx.cli.display import LiveDisplay, SessionDisplay, show
from utd_rx.cli.levels import Levels
from utd_rx.cli.options import fail
from utd_rx.cli.plain import chat_line
from utd_rx.models.chat import ChatMessage
from utd_rx.models.connection import UTDConnectionState
from utd_rx.sessions.media_session import MediaSession
from utd_rx.sessions.media_view import MediaView
from utd_rx.sessions.playback import play

OVER: Final = (UTDConnectionState.DISCONNECTED, UTDConnectionState.FORCE_EXIT)

ROOM: Final = (
    *("connection_state", "can_publish", "microphone_enabled", "remote_participants"),
    *("active_speakers", "failure"),
)
"""The streams that are told of every kind of room."""


@frozen
class Attendance:
    """A session as a terminal has it.

    Args:
        session: Joined.
        display: Where it is shown.
        keys: What each does on an empty line.
        hint: The same for a reader.
        watched: The streams that are told where there is no picture.
        followed: Whose levels are of interest, now.
        microphone: What the session publishes.
        speaker: What plays the others.
    """

    session: MediaSession[Any]
    display: SessionDisplay
    keys: Mapping[str, Command]
    hint: str
    watched: Iterable[str]
    followed: Callable[[], Iterable[str | None]]
    microphone: object = None
    speaker: Speaker | None = None

    async def last(self, over: Awaitable[object] | None = None) -> None:
        """Show and do what is typed until it is `over`: the session is lost, unless given."""
        session, levels = self.session, Levels(self.session, self.microphone)

        def draw(line: str) -> Any:
            from utd_rx.cli.pictures import picture, typed

            levels.follow(self.followed())
            return typed(picture(session, levels.of), line, self.hint)

        cockpit = Cockpit(self.display, self.keys, session.chat.send, draw)
        if not isinstance(self.display, LiveDisplay):
            self.display.event("keys", self.hint, self.hint)
        shown = show(session, (*ROOM, *self.watched), self.display)
        chat = tell_chat(session, self.display)
        playback = None if self.speaker is None else play(session, self.speaker)
        try:
            await cockpit.run(over or session.connection_state.until(lambda state: state in OVER))
        finally:
            levels.follow(())
            shown.dispose()
            chat.dispose()
            if playback is not None:
                await playback.aclose()


def status_of(session: MediaSession[Any], command: str) -> int:
    """Return the exit status of who was in a session, having said why it was lost if it was."""
    failure = session.failure.value
    return 0 if failure is None else fail(command, 1, failure.message)


def tell_chat(view: MediaView[Any], display: SessionDisplay) -> Any:
    """Tell each chat message once."""
    known: tuple[ChatMessage, ...] = ()

    def tell(history: tuple[ChatMessage, ...]) -> None:
        nonlocal known
        first = history.index(known[-1]) + 1 if known and known[-1] in history else 0
        known = history
        for message in history[first:]:
            display.event("chat", message, chat_line(message))

    return view.chat_history.subscribe(tell)
