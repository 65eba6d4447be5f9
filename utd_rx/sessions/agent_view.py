"""What an app sees of a voice agent's session, whatever feeds it: a socket, or a recording."""

from __future__ import annotations

from reactivex import Observable

from utd_rx.models.agent import AgentError, AgentStatistics, AgentStatus, AgentTurn
from utd_rx.models.agent_events import AgentEvent
from utd_rx.models.stream_type import EnginelessType
from utd_rx.protocol.agent.session import AgentState
from utd_rx.protocol.kinds import VOICE_AGENT
from utd_rx.sessions.view import Stream, View


class AgentView(View[AgentState]):
    """The streams of a voice agent's session."""

    kind = VOICE_AGENT
    type = EnginelessType.VOICE_AGENT
    _agent_id: str
    _IN_HTML = ("status", "user_talking", "muted", "failure", "transcript")

    status: Stream[AgentStatus] = Stream(lambda s: s.status, "Where the session stands.")
    connected: Stream[bool] = Stream(
        lambda s: s.connection.is_listening, "Whether a session is there and hears what is said."
    )
    agent_talking: Stream[bool] = Stream(
        lambda s: s.turns.is_agent_talking,
        "Whether the agent is heard, or to be heard at any moment: until the last sample was "
        "played, however long ago it came.",
    )
    user_talking: Stream[bool] = Stream(
        lambda s: s.is_user_talking,
        "Whether the user is heard: by the microphone's own voice activity while it is not muted, "
        "and without a microphone by the words that the server hears.",
    )
    muted: Stream[bool] = Stream(lambda s: s.is_muted, "Whether the app muted the microphone.")
    session_id: Stream[str | None] = Stream(
        lambda s: s.session_id, "Of the newest session, each reconnect is one; None before any."
    )
    call_id: Stream[str | None] = Stream(
        lambda s: s.call_id, "The server's id of the newest session's call, None before any."
    )
    transcript: Stream[tuple[AgentTurn, ...]] = Stream(
        lambda s: s.turns.transcript.turns,
        "The last 500 turns in the order they began, those under way among them; a start after a "
        "stop begins anew.",
    )
    failure: Stream[AgentError | None] = Stream(
        lambda s: s.connection.failure,
        "Why there is no session, None while there is one or was not meant to be.",
    )
    statistics: Stream[AgentStatistics] = Stream(
        lambda s: s.statistics, "What was counted since the session was made."
    )

    @property
    def agent_id(self) -> str:
        """Which agent; "" where the token says it."""
        return self._agent_id

    @property
    def events(self) -> Observable[AgentEvent]:
        """Every event of the server as a typed frozen value, hot, after the commit it is part of.

        A replay has no `AgentAudio`: recordings hold no sound.
        """
        return self._events

    @property
    def _summary(self) -> str:
        return f"{self.agent_id!r}, {self.status.value.value}"

    @property
    def _names(self) -> tuple[str, str]:
        return "", self._agent_id
