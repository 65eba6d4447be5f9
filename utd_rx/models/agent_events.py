"""What a voice agent's server tells, as typed frozen values: the events behind `session.events`.

A class for each event of the protocol (docs/agent.md, "The protocol"), whichever way it is spelled.
"""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.models.agent import AgentError, AgentRole
from utd_rx.models.checks import typed
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.typed_json import Tagged
from utd_rx.models.value import Value


@frozen(field_transformer=typed)
class AgentEvent(Value, Tagged):
    """Base of all of them."""


@frozen(field_transformer=typed)
class AgentSessionCreated(AgentEvent):
    """A session began: `session.created`; the sound of both ways has this rate.

    Args:
        session_id: Its id.
        call_id: The call's, `CALL-…`.
        sample_rate: Hz, one of `SAMPLE_RATES`; 0 when it was not told, and then as asked.
        channels: 1 in this protocol.
    """

    session_id: str
    call_id: str
    sample_rate: int
    channels: int = 1


@frozen(field_transformer=typed)
class AgentSessionUpdated(AgentEvent):
    """The tools that the server took: `session.updated`."""

    tools: tuple[str, ...] = ()


@frozen(field_transformer=typed)
class AgentSessionClosed(AgentEvent):
    """The session is over: `session.closed`; `reason` is the server's word, of an open set."""

    reason: str = ""


@frozen(field_transformer=typed)
class AgentAudio(AgentEvent):
    """Some of the agent's voice: `output_audio.delta`; PCM16 LE mono at the session's rate.

    May come faster than it sounds, and says not of which turn it is.
    """

    audio: bytes = field(repr=False)


@frozen(field_transformer=typed)
class TranscriptDelta(AgentEvent):
    """What was said so far in this turn, all of it: `transcript.delta`."""

    role: AgentRole
    text: str = field(repr=False)


@frozen(field_transformer=typed)
class TranscriptFinal(AgentEvent):
    """What was said in this turn, for good: `transcript`; not each turn has one."""

    role: AgentRole
    text: str = field(repr=False)


@frozen(field_transformer=typed)
class AgentStartedTalking(AgentEvent):
    """The agent's turn begins; `timestamp` is the server's text, whose zone it does not say."""

    timestamp: str | None = None


@frozen(field_transformer=typed)
class AgentStoppedTalking(AgentEvent):
    """The server has sent all of the turn; much of it may not have been heard yet."""

    timestamp: str | None = None


@frozen(field_transformer=typed)
class AgentInterrupted(AgentEvent):
    """The user spoke over the agent: `interruption`; what was not heard yet is void."""


@frozen(field_transformer=typed)
class AgentErrorReceived(AgentEvent):
    """The server told an error; the connection goes on unless its end follows."""

    error: AgentError


@frozen(field_transformer=typed)
class FunctionCalled(AgentEvent):
    """The agent asks for a tool of this client: `function_call`."""

    call_id: str
    name: str
    arguments: FrozenMap[str, object] = field(factory=FrozenMap, repr=False)


@frozen(field_transformer=typed)
class UnknownAgentEvent(AgentEvent):
    """An event this version has no type for; `fields` is all of it."""

    name: str
    fields: FrozenMap[str, object] = field(factory=FrozenMap, repr=False)
