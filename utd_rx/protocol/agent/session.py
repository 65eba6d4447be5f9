"""A voice agent's session: connection and turns put together.

Theory of operation. What the server says counts while its session is there; what the player and the
microphone tell counts always. When a session is over, what arrived of the voice is played to its
end and the devices are kept for the next; when none is to come, they are let go once all was heard.
Only who puts the agent away, by a stop or a pause, has silence at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve, frozen

from utd_rx.models import agent_events as e
from utd_rx.models.agent import AgentStatistics, AgentStatus
from utd_rx.protocol.agent import connecting, turns
from utd_rx.protocol.agent.connecting import AgentConnection, AgentPhase
from utd_rx.protocol.agent.transcript import Transcript
from utd_rx.protocol.agent.turns import AgentTurns
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.agent import (
    AgentAudioMeasured,
    AgentMessagesMalformed,
    AgentMuteWanted,
    AgentTextSent,
    AgentUnwanted,
    AgentWanted,
    BeginAgentSession,
    CallAgentTool,
    EndAgentSession,
    ReleaseAgentDevices,
    SilenceMicrophone,
)
from utd_rx.protocol.waiting import Wait


@frozen
class AgentOptions:
    """What an app chose when it made the session.

    Args:
        sample_rate: Hz that are asked for; the server's answer counts.
        has_microphone: Whether there is one, or only text.
        mutes_while_speaking: Send silence while the agent is heard.
        barges_in: Cut the agent off when the user is heard here, before the server says so.
    """

    sample_rate: int = 24_000
    has_microphone: bool = True
    mutes_while_speaking: bool = False
    barges_in: bool = False


@frozen
class AgentState:
    """All of a session.

    Args:
        options: What the app chose.
        connection: Where the connection stands.
        turns: Whose turn it is, and what was said.
        session_id: Of the newest session.
        call_id: Of the newest session.
        sample_rate: Its Hz, both ways.
        is_muted: Whether the app muted the microphone.
        has_devices: Whether microphone and speaker are held.
        statistics: What was counted.
        waits: The commands that wait.
    """

    options: AgentOptions = AgentOptions()
    connection: AgentConnection = AgentConnection()
    turns: AgentTurns = AgentTurns()
    session_id: str | None = None
    call_id: str | None = None
    sample_rate: int | None = None
    is_muted: bool = False
    has_devices: bool = False
    statistics: AgentStatistics = AgentStatistics()
    waits: tuple[Wait, ...] = ()

    @property
    def session(self) -> AgentState:
        """What waits read the connection of: there is nothing around it."""
        return self

    @property
    def status(self) -> AgentStatus:
        """Where the session stands, as an app sees it."""
        match self.connection.phase:
            case AgentPhase.LISTENING if self.turns.is_agent_talking:
                return AgentStatus.SPEAKING
            case AgentPhase.OPENING | AgentPhase.WAITING if self.connection.has_listened:
                return AgentStatus.RECONNECTING
        return STATUSES[self.connection.phase]

    @property
    def accepts_audio(self) -> bool:
        """Whether what arrives of the agent's voice is to be played."""
        return self.connection.is_listening and self.turns.accepts_audio

    @property
    def is_silenced(self) -> bool:
        """Whether silence is sent in place of the microphone."""
        is_shy = self.options.mutes_while_speaking and self.turns.is_agent_talking
        return self.is_muted or is_shy

    @property
    def is_user_talking(self) -> bool:
        """Whether the user is heard: by the microphone's voice activity, and where there is none,
        by the words that the server hears."""
        if not self.connection.is_listening:
            return False
        if self.options.has_microphone:
            return self.turns.is_user_heard and not self.is_silenced
        return self.turns.has_user_words


STATUSES: Final[Mapping[AgentPhase, AgentStatus]] = {
    AgentPhase.IDLE: AgentStatus.IDLE,
    AgentPhase.OPENING: AgentStatus.CONNECTING,
    AgentPhase.LISTENING: AgentStatus.LISTENING,
    AgentPhase.WAITING: AgentStatus.CONNECTING,
    AgentPhase.PAUSED: AgentStatus.PAUSED,
    AgentPhase.OVER: AgentStatus.CLOSED,
}

BEFORE_A_SESSION: Final = (
    e.AgentSessionCreated,
    e.AgentSessionClosed,
    e.AgentErrorReceived,
    e.UnknownAgentEvent,
)
"""Events that mean something while there is no session yet."""


def step(state: AgentState, fact: object, now: float) -> tuple[AgentState, Effects]:
    """Return the state after `fact` and what it calls for; total."""
    if isinstance(fact, e.AgentEvent) and not _is_timely(state, fact):
        return _counted(state, late_events=1), ()
    after, effects = _connected(state, fact, now)
    after, more = _turned(state, after, fact, now)
    effects = (*more, *effects, *_called(after, fact))
    after, more = _barged_in(state, after)
    return _settled(state, _measured(after, fact), (*effects, *more))


def next_deadline(state: AgentState) -> float | None:
    """Return when the timer must fire, in monotonic seconds; None for never."""
    return earliest(connecting.next_deadline(state.connection), turns.next_deadline(state.turns))


def _is_timely(state: AgentState, event: e.AgentEvent) -> bool:
    if state.connection.phase is AgentPhase.OPENING:
        return isinstance(event, BEFORE_A_SESSION)
    return state.connection.is_listening and not isinstance(event, e.AgentSessionCreated)


def _connected(state: AgentState, fact: object, now: float) -> tuple[AgentState, Effects]:
    """Return the state with its connection after `fact`, and the session that it began or ended."""
    connection, effects = connecting.step(state.connection, fact, now)
    after = evolve(state, connection=connection)
    if state.connection.is_listening and not connection.is_listening:
        return after, (EndAgentSession(), *effects)
    if isinstance(fact, e.AgentSessionCreated):
        rate = fact.sample_rate or state.options.sample_rate
        after = evolve(
            _counted(after, reconnects=int(state.connection.has_listened)),
            session_id=fact.session_id,
            call_id=fact.call_id,
            sample_rate=rate,
            has_devices=True,
        )
        effects = (*effects, BeginAgentSession(connection.attempt, rate))
    return after, effects


def _turned(
    before: AgentState, after: AgentState, fact: object, now: float
) -> tuple[AgentState, Effects]:
    """Return the state with its turns after `fact`."""
    told = after.turns
    effects: Effects = ()
    is_over = before.connection.is_listening and not after.connection.is_listening
    match fact:
        case AgentUnwanted():
            told, effects = turns.silenced(told)
        case AgentWanted() if before.connection.phase in (AgentPhase.IDLE, AgentPhase.OVER):
            told = evolve(told, transcript=Transcript())
        case AgentTextSent() if not after.connection.is_listening:
            pass
        case _:
            told, effects = turns.step(told, fact, now)
    if is_over and not isinstance(fact, AgentUnwanted):
        told = turns.lost(told)
    return evolve(after, turns=told), effects


def _called(state: AgentState, fact: object) -> Effects:
    match fact:
        case e.FunctionCalled(call_id=call_id, name=name, arguments=arguments):
            return (CallAgentTool(state.connection.attempt, call_id, name, arguments),)
    return ()


def _barged_in(before: AgentState, after: AgentState) -> tuple[AgentState, Effects]:
    """Cut the agent off when the user begins to be heard; not one who is still heard from before,
    since a voice activity ends later than the voice."""
    begins = after.is_user_talking and not before.is_user_talking
    if not (begins and after.options.barges_in and after.turns.is_agent_talking):
        return after, ()
    told, effects = turns.cut(after.turns)
    return evolve(after, turns=told), effects


def _measured(state: AgentState, fact: object) -> AgentState:
    match fact:
        case AgentMuteWanted(is_muted=is_muted):
            return evolve(state, is_muted=is_muted)
        case AgentMessagesMalformed(count=count):
            return _counted(state, malformed_messages=count)
        case e.UnknownAgentEvent():
            return _counted(state, unknown_events=1)
        case AgentAudioMeasured():
            measured = evolve(
                state.statistics,
                audio_dropped=fact.audio_dropped,
                queue_ms=fact.queue_ms,
                playback_ms=fact.playback_ms,
            )
            return evolve(state, statistics=measured)
    return state


def _settled(before: AgentState, after: AgentState, effects: Effects) -> tuple[AgentState, Effects]:
    """Return the state with what follows from all that changed: for the devices and amounts."""
    if after.statistics.playback_ms and not after.turns.voice.has_sound:
        after = evolve(after, statistics=evolve(after.statistics, playback_ms=0.0))
    if before.is_silenced is not after.is_silenced:
        effects = (*effects, SilenceMicrophone(after.is_silenced))
    is_done = not after.connection.is_joined and not after.turns.is_agent_talking
    if after.has_devices and is_done:
        heard = evolve(after.turns, is_user_heard=False)
        return evolve(after, has_devices=False, turns=heard), (*effects, ReleaseAgentDevices())
    return after, effects


def _counted(state: AgentState, **more: int) -> AgentState:
    statistics = state.statistics
    counts = {name: getattr(statistics, name) + count for name, count in more.items() if count}
    return evolve(state, statistics=evolve(statistics, **counts)) if counts else state
