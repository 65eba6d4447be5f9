"""What an app sees of a voice agent (docs/agent.md)."""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import field, frozen
from attrs.validators import ge, le

from utd_rx.models.checks import typed
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.value import Value

SAMPLE_RATES: Final = (8000, 16000, 24000, 48000)
"""Hz that the protocol knows (docs/agent.md, "Sound"), the same both ways."""

MIN_TOOL_TIMEOUT: Final = 1.0
MAX_TOOL_TIMEOUT: Final = 60.0
"""Seconds that a tool can be given (docs/agent.md, "Tools")."""


class AgentStatus(Enum):
    """Where an agent's session stands."""

    IDLE = "idle"
    """It was never started."""
    CONNECTING = "connecting"
    LISTENING = "listening"
    """Connected; what the user says is heard."""
    SPEAKING = "speaking"
    """Connected, and the agent's voice is on, or to be heard at any moment."""
    RECONNECTING = "reconnecting"
    """The connection is lost; what comes next is a new session."""
    PAUSED = "paused"
    """Put away by the app: no connection, no devices."""
    CLOSED = "closed"
    """Over: stopped, ended by the server, or failed for good. It can be started again."""


class AgentMode(Enum):
    """How one talks to it; `value` is the spelling on the wire."""

    WEBCALL = "webcall"
    CHAT = "chat"


class AgentRole(Enum):
    """Who said something; `value` is the spelling on the wire."""

    USER = "user"
    ASSISTANT = "assistant"


@frozen(field_transformer=typed)
class AgentTurn(Value):
    """What one of the two said in one go.

    Args:
        role: Who.
        text: All of it, as last told.
        is_final: The turn is over; a late correction may still come.
        was_cut: It was not heard to its end: somebody spoke over it, or the connection went.
    """

    role: AgentRole
    text: str = field(repr=False)
    is_final: bool = False
    was_cut: bool = False


@frozen(field_transformer=typed)
class AgentError(Value):
    """What went wrong.

    Args:
        code: The server's word, an HTTP status or close code in digits, or `"network"` and
            `"timeout"`.
        message: What happened, fit to show to a developer; holds no secret.
        retryable: Whether another attempt may go well.
    """

    code: str
    message: str
    retryable: bool


@frozen(field_transformer=typed)
class AgentStatistics(Value):
    """What a session has counted since it was made.

    Attributes:
        audio_dropped: Chunks of 20 ms of the microphone that were too old to be sent.
        unknown_events: Events of a type that this version does not know.
        malformed_messages: Messages that mean nothing.
        late_events: Events that came while there was no session they could be of.
        reconnects: Sessions that came after a loss.
        queue_ms: Milliseconds of the microphone that wait to be sent.
        playback_ms: Milliseconds of the agent's voice that arrived and were not heard yet.
    """

    audio_dropped: int = 0
    unknown_events: int = 0
    malformed_messages: int = 0
    late_events: int = 0
    reconnects: int = 0
    queue_ms: float = 0.0
    playback_ms: float = 0.0


@frozen(field_transformer=typed)
class AgentTool(Value):
    """What the agent may ask this client to do, as the wire declares it.

    Args:
        name: By which it is called.
        description: For the agent: what it does, and when to use it.
        parameters: JSON Schema of its arguments.
        timeout: Seconds it may take.
        expects_response: Whether the agent waits for its result.
    """

    name: str
    description: str = ""
    parameters: FrozenMap[str, object] = field(factory=FrozenMap)
    timeout: float = field(default=15.0, validator=[ge(MIN_TOOL_TIMEOUT), le(MAX_TOOL_TIMEOUT)])
    expects_response: bool = True
