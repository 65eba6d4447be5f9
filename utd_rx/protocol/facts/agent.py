"""What is told and asked about a voice agent, beside the events of its server
(`models.agent_events`, but `AgentAudio`: sound goes past the rules, which hear of amounts only).

An *attempt* is one socket; they are numbered, and what an older one reports changes nothing.
"""

from __future__ import annotations

from attrs import field, frozen

from utd_rx.models.agent import AgentError
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.protocol.facts import Effect, Fact

# --- what the app wants -------------------------------------------------------------------------


@frozen
class AgentWanted(Fact):
    """The app starts the session, or goes on with one that it paused."""


@frozen
class AgentUnwanted(Fact):
    """The app stops it; `is_pause`: it will go on."""

    is_pause: bool = False


@frozen
class AgentMuteWanted(Fact):
    """The app mutes the microphone, or lets it be heard again."""

    is_muted: bool


@frozen
class AgentTextSent(Fact):
    """The app wrote to the agent, which begins a turn of the user."""


# --- what the socket tells ----------------------------------------------------------------------


@frozen
class AgentAttemptOpened(Fact):
    """The socket of `attempt` is up; the session is not yet."""

    attempt: int


@frozen
class AgentAttemptEnded(Fact):
    """The socket of `attempt` is over, or never came up.

    Args:
        attempt: Its number.
        error: Why; of a socket, as `agent.endings.error_of` says. A refused mint is one, too.
        close_code: The peer's close code, None without one.
        jitter: From 0 to 1, to spread the next attempts.
        retry_after: Seconds that the server asked to wait.
    """

    attempt: int
    error: AgentError
    close_code: int | None = None
    jitter: float = 0.0
    retry_after: float | None = None


@frozen
class AgentMessagesMalformed(Fact):
    """So many messages meant nothing."""

    count: int = 1


# --- what is heard and spoken -------------------------------------------------------------------


@frozen
class AgentSoundArrived(Fact):
    """Some of the agent's voice waits to be heard: told when none did, and later now and then.

    `seconds` since the last time.
    """

    seconds: float


@frozen
class AgentSoundEnded(Fact):
    """None waits any more, it was all played; the last of it is heard in `tail` seconds.

    Not told of a `FlushAgentSound`.
    """

    tail: float = 0.0


@frozen
class AgentSoundFailed(Fact):
    """The session of `attempt` cannot be heard or spoken to: a device does not open."""

    attempt: int
    error: AgentError


@frozen
class UserSpeakingChanged(Fact):
    """The microphone's voice activity, whether or not it is muted."""

    is_speaking: bool


@frozen
class AgentAudioMeasured(Fact):
    """Counters of the sound, a few times a second at most; as in `AgentStatistics`."""

    audio_dropped: int
    queue_ms: float
    playback_ms: float


# --- what the shell must do ---------------------------------------------------------------------
# At once, in this order, before anything else is fed or sent: handlers that do not wait.


@frozen
class OpenAgentSocket(Effect):
    """Mint a token if one is needed and run a socket, in place of any other.

    Answer with `AgentAttemptOpened` and, in any case, `AgentAttemptEnded`.
    """

    attempt: int


@frozen
class CloseAgentSocket(Effect):
    """Take the socket down: `is_clean`, with `session.close` and 1000, else drop it.

    Nothing of it is told any more.
    """

    attempt: int
    is_clean: bool = True


@frozen
class BeginAgentSession(Effect):
    """Declare the tools, then let the microphone be sent and the voice be played at this rate.

    What waits of the session before is played to its end first.
    """

    attempt: int
    sample_rate: int


@frozen
class EndAgentSession(Effect):
    """Send nothing of the microphone any more; what waits of the voice is played all the same."""


@frozen
class ReleaseAgentDevices(Effect):
    """Close the microphone and the speaker."""


@frozen
class SilenceMicrophone(Effect):
    """Send silence in place of what the microphone hears, or no more so."""

    is_silent: bool


@frozen
class FlushAgentSound(Effect):
    """Drop what waits of the agent's voice, and be silent."""


@frozen
class CallAgentTool(Effect):
    """Run a tool of the app's, and answer unless the session of `attempt` is over by then."""

    attempt: int
    call_id: str
    name: str
    arguments: FrozenMap[str, object] = field(factory=FrozenMap, repr=False)
