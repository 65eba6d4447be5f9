"""What comes of the socket: events to the rules and to who observes them, sound to the player."""

from __future__ import annotations

from typing import Final

from utd_rx.agent.sound import AgentSound
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.agent import AgentError
from utd_rx.models.agent_events import AgentAudio, AgentEvent, AgentStoppedTalking
from utd_rx.ports.agent_socket import (
    AgentSocketEnd,
    AgentSocketEnded,
    AgentSocketEvent,
    AgentSocketOpened,
    AgentSocketText,
)
from utd_rx.ports.clock import Clock
from utd_rx.protocol.agent.endings import error_of
from utd_rx.protocol.agent.session import AgentState
from utd_rx.protocol.facts import agent as facts
from utd_rx.protocol.wire import atoms
from utd_rx.sessions.rules_runner import RulesRunner
from utd_rx.state.events import EventStream

PASSING: Final = (UTDErrorCode.NETWORK, UTDErrorCode.TIMEOUT)
"""Why a credential may be had a moment later, where no server gave a status."""


class AgentIncoming:
    """Commits what one turn of the loop brought, and plays its sound where the rules let it.

    An event is emitted once it was committed. Sound is judged by the state that what came before it
    led to: behind an interruption it is dropped, however close it follows.

    Args:
        runner: Hears of events.
        events: Where they are emitted.
        sound: Plays.
        clock: Spreads the attempts to connect.
    """

    def __init__(
        self,
        runner: RulesRunner[AgentState],
        events: EventStream[AgentEvent],
        sound: AgentSound,
        clock: Clock,
    ) -> None:
        self._runner = runner
        self._events = events
        self._sound = sound
        self._clock = clock
        self._told: list[object] = []

    def take(self, attempt: int, credential: str, batch: tuple[AgentSocketEvent, ...]) -> None:
        """Take what came of the attempt that counts."""
        for event in batch:
            match event:
                case AgentSocketOpened():
                    self._told.append(facts.AgentAttemptOpened(attempt))
                case AgentSocketText(text=text):
                    self._read(text, credential)
                case AgentSocketEnded():
                    self._told.append(self._end(attempt, event))
                case _:
                    self._told.append(facts.AgentMessagesMalformed())
        self._flush()

    def not_connected(self, attempt: int, error: UTDStreamException) -> None:
        """Take why an attempt came to no socket."""
        code, is_passing = error.code.value, error.code in PASSING
        if error.status_code is not None:
            code = str(error.status_code)
            is_passing = atoms.is_retryable(code)
        failure = AgentError(code, error.message, is_passing)
        jitter = self._clock.jitter()
        ended = facts.AgentAttemptEnded(attempt, failure, None, jitter, error.retry_after)
        self._runner.offer(ended)

    def _read(self, text: str, credential: str) -> None:
        event = atoms.read_event(text, credential)
        if event is None:
            self._told.append(facts.AgentMessagesMalformed())
        elif isinstance(event, AgentAudio):
            self._flush()
            if self._runner.state.accepts_audio:
                self._sound.feed(event.audio)
            self._events.emit(event)
        else:
            self._told.append(event)

    def _flush(self) -> None:
        told, self._told = self._told, []
        if not told:
            return
        self._runner.offer(*told)
        for event in told:
            if isinstance(event, AgentStoppedTalking):
                self._sound.finish()
            if isinstance(event, AgentEvent):
                self._events.emit(event)

    def _end(self, attempt: int, end: AgentSocketEnded) -> facts.AgentAttemptEnded:
        is_silent = end.end is AgentSocketEnd.SILENT
        error = error_of(end.code, end.message, is_silent=is_silent)
        close_code = end.code if end.end is AgentSocketEnd.CLOSED else None
        return facts.AgentAttemptEnded(
            attempt, error, close_code, self._clock.jitter(), end.retry_after
        )
