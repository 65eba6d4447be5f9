"""`LocalAgent`: the two endpoints of a voice agent, and the agent behind them.

It is for development and tests: it understands nothing, and bills nobody.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from typing import Final, Self, TypeAlias

from aiohttp import web

from utd_rx.engine.agent.call import AgentCall
from utd_rx.engine.agent.echo import EchoAgent
from utd_rx.engine.agent.gate import (
    TOKEN_RATE,
    TOKEN_SECONDS,
    AgentAdmission,
    AgentGate,
    NotAdmitted,
)
from utd_rx.engine.engine_clock import EngineClock, LoopEngineClock
from utd_rx.engine.listening import bind, url_of
from utd_rx.engine.serving import HttpServer, trust
from utd_rx.errors import ConflictReason, conflict

CONNECT: Final = "/atoms/v1/agent/connect"
REGISTER: Final = "/atoms/v1/conversation/register-call"

SHUTDOWN_SECONDS: Final = 2.0
"""For requests under way to end."""

MAX_UNSEEN: Final = 64
"""Sessions that nobody has asked for with `next_call`; the oldest are forgotten."""

Agent: TypeAlias = Callable[[AgentCall], Awaitable[object]]
"""Serves one session: an async function, an `EchoAgent`, a `ScriptedAgent`."""


class LocalAgent:
    """A local voice agent; `async with` starts and ends it.

    Args:
        agent: What serves each session; an `EchoAgent` unless given.
        host: Address to bind; loopback unless told otherwise.
        port: TCP port, 0 for a free one.
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
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        agent_ids: Collection[str] | None = None,
        clock: EngineClock | None = None,
    ) -> None:
        self.agent = agent or EchoAgent()
        self.refuses_with: int | None = None
        self.refusals: deque[int] = deque()
        self.attempts = 0
        self.registered = 0
        self._where = host, port
        self._api_key = api_key or f"sk_{secrets.token_hex(16)}"
        self._gate = AgentGate(self._api_key, agent_ids)
        self._clock = clock or LoopEngineClock()
        self._base_url: str | None = None
        self._closing = AsyncExitStack()
        self._ending: asyncio.Task[None] | None = None
        self._calls: set[AgentCall] = set()
        self._unseen: deque[AgentCall] = deque(maxlen=MAX_UNSEEN)
        self._came = asyncio.Event()

    def __repr__(self) -> str:
        return f"<LocalAgent {self._base_url or 'not running'}>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def base_url(self) -> str:
        """Where it is: `http://host:port`, as `AtomsAgentSession` takes it."""
        if self._base_url is None:
            raise conflict(ConflictReason.NOT_JOINED, "the agent was not started")
        return self._base_url

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

    async def start(self) -> None:
        """Start; returns when it answers.

        Raises:
            UTDStreamException: `CONFLICT` when the port is taken or it was started before.
        """
        if self._base_url is not None or self._ending is not None:
            raise conflict(ConflictReason.ALREADY, "an agent starts once")
        listener = bind(*self._where)
        self._closing.callback(listener.close)
        self._base_url = url_of(listener)
        app = web.Application()
        app.router.add_get(CONNECT, self._connect)
        app.router.add_post(REGISTER, self._register)
        http = HttpServer(app, "agent", shutdown_timeout=SHUTDOWN_SECONDS)
        self._closing.push_async_callback(http.aclose)
        self._closing.push_async_callback(self._hang_up)
        await http.start(listener)

    async def aclose(self) -> None:
        """End every session with 1001, and the rest. Idempotent; concurrent calls wait."""
        self.refuses_with = 503
        if self._ending is None:
            self._ending = asyncio.create_task(self._closing.aclose(), name="agent-close")
        # Shielded: whoever stops waiting does not stop the closing.
        await asyncio.shield(self._ending)

    async def _hang_up(self) -> None:
        await asyncio.gather(*(call.close(1001, "going away") for call in self._calls))
        for call in self._calls:  # who vanished is held until now
            await call.cut()

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        self.attempts += 1
        try:
            admission = self._admit(request)
        except NotAdmitted as refusal:
            return _refused(refusal)
        trust(request)
        call = AgentCall(request, admission, self._clock)
        self._calls.add(call)
        self._unseen.append(call)
        self._came.set()
        try:
            return await call.serve(self.agent)
        finally:
            self._calls.discard(call)

    async def _register(self, request: web.Request) -> web.StreamResponse:
        try:
            self._refuse()
            try:
                body: object = await request.json()
            except (ValueError, RecursionError) as error:
                raise NotAdmitted(400, "the body is a JSON object") from error
            authorization = request.headers.get("Authorization")
            token = self._gate.register(authorization, body, self._clock.monotonic())
        except NotAdmitted as refusal:
            return _refused(refusal)
        trust(request)
        self.registered += 1
        data = {"access_token": token, "expires_in": TOKEN_SECONDS, "sample_rate": TOKEN_RATE}
        return web.json_response({"status": True, "data": data})

    def _admit(self, request: web.Request) -> AgentAdmission:
        self._refuse()
        if self.refusals:
            raise NotAdmitted(self.refusals.popleft(), "not this time")
        authorization = request.headers.get("Authorization")
        return self._gate.admit(request.query, authorization, self._clock.monotonic())

    def _refuse(self) -> None:
        if self.refuses_with is not None:
            raise NotAdmitted(self.refuses_with, "the server takes no sessions now")


def _refused(refusal: NotAdmitted) -> web.Response:
    return web.json_response({"status": False, "message": str(refusal)}, status=refusal.status)
