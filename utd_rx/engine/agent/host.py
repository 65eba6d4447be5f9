"""`AgentHost`: who may talk to an agent, and every session of it, whatever carries them."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, TypeAlias

from utd_rx.engine.agent.call import AgentCall
from utd_rx.engine.agent.echo import EchoAgent
from utd_rx.engine.agent.gate import AgentAdmission, AgentGate, NotAdmitted
from utd_rx.engine.engine_clock import EngineClock, LoopEngineClock
from utd_rx.engine.web_socket import WebSocket

MAX_UNSEEN: Final = 64
"""Sessions that nobody has asked for with `next_call`; the oldest are forgotten."""

Agent: TypeAlias = Callable[[AgentCall], Awaitable[object]]
"""Serves one session: an async function, an `EchoAgent`, a `ScriptedAgent`."""


class AgentHost:
    """The agent behind its two endpoints.

    Args:
        agent: What serves each session; an `EchoAgent` unless given.
        api_key: Made for this run unless given.
        agent_ids: The agents there are; None for any.
        clock: Instead of the loop's, for tests.

    Attributes:
        agent: What serves the sessions that come.
        refuses_with: HTTP status that every request is answered with, None for none; 503 is what a
            server says that drains.
        refusals: HTTP statuses of the next connections, one each.
        attempts: How many connections were tried, those refused among them.
        registered: How many tokens were given.
    """

    def __init__(
        self,
        agent: Agent | None = None,
        *,
        api_key: str | None = None,
        agent_ids: Collection[str] | None = None,
        clock: EngineClock | None = None,
    ) -> None:
        self.agent = agent or EchoAgent()
        self.refuses_with: int | None = None
        self.refusals: deque[int] = deque()
        self.attempts = 0
        self.registered = 0
        self._api_key = api_key or f"sk_{secrets.token_hex(16)}"
        self._gate = AgentGate(self._api_key, agent_ids)
        self._clock = clock or LoopEngineClock()
        self._calls: set[AgentCall] = set()
        self._unseen: deque[AgentCall] = deque(maxlen=MAX_UNSEEN)
        self._came = asyncio.Event()

    @property
    def api_key(self) -> str:
        """The key that clients connect with."""
        return self._api_key

    async def next_call(self) -> AgentCall:
        """Return the first session that it has not returned yet, when there is one."""
        while not self._unseen:
            self._came.clear()
            await self._came.wait()
        return self._unseen.popleft()

    def admit(self, query: Mapping[str, str], authorization: str | None) -> AgentAdmission:
        """Let a connection in, or raise `NotAdmitted`."""
        self.attempts += 1
        self._refuse()
        if self.refusals:
            raise NotAdmitted(self.refusals.popleft(), "not this time")
        return self._gate.admit(query, authorization, self._clock.monotonic())

    async def serve(
        self, ws: WebSocket, query: Mapping[str, str], admission: AgentAdmission
    ) -> None:
        """Serve a session that was let in to its end."""
        call = AgentCall(ws, query, admission, self._clock)
        self._calls.add(call)
        self._unseen.append(call)
        self._came.set()
        try:
            await call.serve(self.agent)
        finally:
            self._calls.discard(call)

    def register(self, authorization: str | None, body: object) -> str:
        """Return a token for one connection, or raise `NotAdmitted`."""
        self._refuse()
        token = self._gate.register(authorization, body, self._clock.monotonic())
        self.registered += 1
        return token

    async def hang_up(self) -> None:
        """End every session with 1001, and let nobody in any more."""
        self.refuses_with = 503
        await asyncio.gather(*(call.close(1001, "going away") for call in self._calls))
        for call in self._calls:  # who vanished is held until now
            await call.cut()

    def _refuse(self) -> None:
        if self.refuses_with is not None:
            raise NotAdmitted(self.refuses_with, "the server takes no sessions now")
