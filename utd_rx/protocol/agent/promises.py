"""What commands of a voice agent's session wait for (`protocol.waiting`)."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from utd_rx.errors import UTDStreamException
from utd_rx.protocol.agent.endings import exception_of
from utd_rx.protocol.agent.session import AgentState
from utd_rx.protocol.waiting import Promise


@frozen
class HasSession(Promise):
    """The agent listens; a message that waits for it is sent then."""

    says = "a session with the agent"

    def shows(self, state: AgentState) -> bool:
        return state.connection.is_listening

    def failure(self, state: AgentState) -> UTDStreamException | None:
        failure = state.connection.failure
        is_over = failure is not None and not state.connection.is_joined
        return exception_of(failure) if failure is not None and is_over else None


@frozen
class HasStarted(HasSession):
    """The agent listens; whoever starts it waits for as long as it may come."""

    seconds: ClassVar[float] = 366 * 24 * 3600.0
