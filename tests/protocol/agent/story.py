"""A voice agent's rules, told facts one after the other on a clock of their own."""

from __future__ import annotations

from utd_rx.models import agent_events as e
from utd_rx.models.agent import AgentError, AgentRole
from utd_rx.protocol.agent import endings
from utd_rx.protocol.agent.connecting import AgentPhase
from utd_rx.protocol.agent.session import AgentOptions, AgentState
from utd_rx.protocol.facts import Effect
from utd_rx.protocol.facts.agent import (
    AgentAttemptEnded,
    AgentAttemptOpened,
    AgentUnwanted,
    AgentWanted,
)
from utd_rx.protocol.facts.connection import DeadlinePassed
from utd_rx.protocol.kinds import VOICE_AGENT
from utd_rx.protocol.wire.atoms import is_retryable

CREATED = e.AgentSessionCreated("s1", "CALL-1", 24_000)
STARTED, STOPPED, INTERRUPTED = (
    e.AgentStartedTalking(),
    e.AgentStoppedTalking(),
    e.AgentInterrupted(),
)


class AgentStory:
    """What happens to one session; `effects` are those since they were last taken."""

    def __init__(self, options: AgentOptions = AgentOptions()) -> None:  # noqa: B008 - frozen
        self.state = AgentState(options)
        self.now = 100.0
        self.effects: list[Effect] = []

    def hear(self, *facts: object) -> list[Effect]:
        """Tell facts; return what they call for."""
        heard: list[Effect] = []
        for fact in facts:
            self.state, effects = VOICE_AGENT.step(self.state, fact, self.now)
            heard += effects
        self.effects += heard
        return heard

    def pass_time(self, seconds: float) -> list[Effect]:
        """Let time pass, and the timer fire whenever it has to."""
        until, heard = self.now + seconds, list[Effect]()
        while (due := VOICE_AGENT.next_deadline(self.state)) is not None and due <= until:
            self.now = max(self.now, due)
            heard += self.hear(DeadlinePassed())
        self.now = until
        return heard

    def end(
        self,
        code: int | None = None,
        *,
        jitter: float = 0.0,
        retry_after: float | None = None,
        is_silent: bool = False,
    ) -> list[Effect]:
        """Let the socket end: by a close code, refused with a status, or lost."""
        error = endings.error_of(code, "it ended", is_silent=is_silent)
        close_code = code if code is not None and code >= 1000 else None
        attempt = self.state.connection.attempt
        return self.hear(AgentAttemptEnded(attempt, error, close_code, jitter, retry_after))

    def tell_error(self, code: str) -> list[Effect]:
        """Let the server tell an error."""
        return self.hear(e.AgentErrorReceived(AgentError(code, "why", is_retryable(code))))

    @property
    def said(self) -> list[tuple[str, str, bool, bool]]:
        """The transcript: who, what, whether it is final and cut."""
        turns = self.state.turns.transcript.turns
        return [(turn.role.value, turn.text, turn.is_final, turn.was_cut) for turn in turns]


def listening(options: AgentOptions = AgentOptions()) -> AgentStory:  # noqa: B008 - frozen
    """Return a story in which a session has just begun."""
    story = AgentStory(options)
    story.hear(AgentWanted(), AgentAttemptOpened(1), CREATED)
    story.effects.clear()
    return story


def in_phase(phase: AgentPhase) -> AgentStory:
    """Return a story that has come to a phase."""
    story = AgentStory() if phase is AgentPhase.IDLE else listening()
    match phase:
        case AgentPhase.OPENING:
            story = AgentStory()
            story.hear(AgentWanted())
        case AgentPhase.WAITING:
            story.end()
        case AgentPhase.PAUSED:
            story.hear(AgentUnwanted(is_pause=True))
        case AgentPhase.OVER:
            story.hear(AgentUnwanted())
    story.effects.clear()
    return story


def says(text: str, role: AgentRole = AgentRole.ASSISTANT) -> e.TranscriptDelta:
    return e.TranscriptDelta(role, text)


def said(text: str, role: AgentRole = AgentRole.ASSISTANT) -> e.TranscriptFinal:
    return e.TranscriptFinal(role, text)
