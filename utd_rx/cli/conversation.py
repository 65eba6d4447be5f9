"""The conversation of `utd-rx agent`: what is typed goes to the session, what it says is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from utd_rx.agent.session import AtomsAgentSession
from utd_rx.cli.agent_screen import Look, TalkScreen, spoken, standing
from utd_rx.cli.keyboard import Typing
from utd_rx.errors import UTDStreamException
from utd_rx.models.agent import AgentError, AgentStatus, AgentTurn
from utd_rx.models.secrets import printable

REDRAW = 0.1
"""Seconds between two looks at levels and states."""


class Conversation:
    """Shows a session on a screen, and types into it.

    Args:
        session: The session.
        screen: Where to.
        microphone: Shown with its level, if it has one.
        speaker: Shown with its level, if it has one.
        leave: Called when the user typed the end.
    """

    def __init__(
        self,
        session: AtomsAgentSession,
        screen: TalkScreen,
        microphone: object,
        speaker: object,
        leave: Callable[[], None],
    ) -> None:
        self.typing = Typing({"m": self._mute}, self._enter, leave)
        self._session = session
        self._screen = screen
        self._levels = microphone, speaker
        self._said: tuple[AgentTurn, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stopped: asyncio.Event) -> None:
        """Start, and show until it is stopped, or over by itself."""
        session, screen = self._session, self._screen
        watching = [
            session.transcript.subscribe(self._spoke),
            session.failure.subscribe(self._failed),
        ]
        if not screen.is_live:
            watching += [
                session.status.subscribe(lambda status: screen.say(f"[{status.value}]")),
                session.muted.subscribe(
                    lambda is_muted: screen.say("[muted]") if is_muted else None
                ),
            ]
        over = asyncio.ensure_future(self._run())
        asked = asyncio.ensure_future(stopped.wait())
        try:
            while not (over.done() or asked.done()):
                self._draw()
                await asyncio.wait((over, asked), timeout=REDRAW, return_when="FIRST_COMPLETED")
            if over.done():
                over.result()
        finally:
            for one in watching:
                one.dispose()
            for task in (over, asked, *self._tasks):
                task.cancel()
            await asyncio.gather(over, asked, *self._tasks, return_exceptions=True)

    async def _run(self) -> None:
        await self._session.start()
        await self._session.status.until(AgentStatus.CLOSED)

    # --- what is shown --------------------------------------------------------------------------

    def _spoke(self, turns: tuple[AgentTurn, ...]) -> None:
        """Print the turns that are over, each once."""
        over = tuple(turn for turn in turns if turn.is_final)
        for turn in over[_common(self._said, over) :]:
            self._screen.say(spoken(turn))
        self._said = over
        self._draw()

    def _failed(self, failure: AgentError | None) -> None:
        """Tell why there is another attempt; what is final is told at the end."""
        if failure is not None and failure.retryable:
            self._screen.say(f"  !! {failure.code}: {printable(failure.message)}")

    def _draw(self) -> None:
        session = self._session
        microphone, speaker = (_level(one) for one in self._levels)
        look = Look(
            session.status.value,
            session.muted.value,
            session.user_talking.value,
            session.agent_talking.value,
            microphone,
            speaker,
            self.typing.line,
        )
        growing = [spoken(turn) for turn in session.transcript.value if not turn.is_final]
        self._screen.show((*growing[-2:], standing(look)))

    # --- what is typed --------------------------------------------------------------------------

    def _mute(self) -> None:
        session = self._session
        self._do(session.unmute() if session.muted.value else session.mute())

    def _enter(self, line: str) -> None:
        self._do(self._session.send_text(line))

    def _do(self, command: Coroutine[Any, Any, None]) -> None:
        async def done() -> None:
            try:
                await command
            except UTDStreamException as error:
                self._screen.say(f"  !! {printable(error.message)}")

        task = asyncio.ensure_future(done())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _common(before: tuple[AgentTurn, ...], now: tuple[AgentTurn, ...]) -> int:
    """Return how many turns at the beginning are known; the oldest may have been forgotten."""
    for gone in range(len(before) + 1):
        known = before[gone:]
        if now[: len(known)] == known:
            return len(known)
    return 0


def _level(device: object) -> float | None:
    level = getattr(device, "level", None)
    return None if level is None else level.value
