"""`LocalAgent`: the two endpoints of a voice agent over HTTP.

It is for development and tests: it understands nothing, and bills nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack
from typing import Final, Self

from aiohttp import web

from utd_rx.engine.agent.gate import TOKEN_RATE, TOKEN_SECONDS, NotAdmitted
from utd_rx.engine.agent.host import Agent, AgentHost
from utd_rx.engine.agent.line import GOODBYE_SECONDS, MAX_FRAME_BYTES
from utd_rx.engine.engine_clock import EngineClock
from utd_rx.engine.listening import bind, url_of
from utd_rx.engine.serving import HttpServer, trust
from utd_rx.engine.tasks import require_loop
from utd_rx.engine.web_socket import UpgradedRequest
from utd_rx.errors import ConflictReason, conflict

CONNECT: Final = "/atoms/v1/agent/connect"
REGISTER: Final = "/atoms/v1/conversation/register-call"

SHUTDOWN_SECONDS: Final = 2.0
"""For requests under way to end."""


class LocalAgent(AgentHost):
    """A local voice agent; `async with` starts and ends it. Attributes are as of `AgentHost`.

    Args:
        agent: What serves each session; an `EchoAgent` unless given.
        host: Address to bind; loopback unless told otherwise.
        port: TCP port, 0 for a free one.
        api_key: Made for this run unless given.
        agent_ids: The agents there are; None for any.
        clock: Instead of the loop's, for tests.
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
        super().__init__(agent, api_key=api_key, agent_ids=agent_ids, clock=clock)
        self._where = host, port
        self._base_url: str | None = None
        self._closing = AsyncExitStack()
        self._ending: asyncio.Task[None] | None = None

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

    async def start(self) -> None:
        """Start; returns when it answers.

        Raises:
            UTDStreamException: `CONFLICT` when the port is taken or it was started before.
        """
        require_loop("an agent")
        if self._base_url is not None or self._ending is not None:
            raise conflict(ConflictReason.ALREADY, "an agent starts once")
        listener = bind(*self._where)
        self._closing.callback(listener.close)
        self._base_url = url_of(listener)
        app = web.Application()
        app.router.add_get(CONNECT, self._connect)
        app.router.add_post(REGISTER, self._take_registration)
        http = HttpServer(app, "agent", shutdown_timeout=SHUTDOWN_SECONDS)
        self._closing.push_async_callback(http.aclose)
        self._closing.push_async_callback(self.hang_up)
        await http.start(listener)

    async def aclose(self) -> None:
        """End every session with 1001, and the rest. Idempotent; concurrent calls wait."""
        self.refuses_with = 503
        if self._ending is None:
            self._ending = asyncio.create_task(self._closing.aclose(), name="agent-close")
        # Shielded: whoever stops waiting does not stop the closing.
        await asyncio.shield(self._ending)

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        try:
            admission = self.admit(request.query, request.headers.get("Authorization"))
        except NotAdmitted as refusal:
            return _refused(refusal)
        trust(request)
        upgraded = UpgradedRequest(request, max_frame=MAX_FRAME_BYTES, close_within=GOODBYE_SECONDS)
        await self.serve(upgraded, request.query, admission)
        return upgraded.response

    async def _take_registration(self, request: web.Request) -> web.StreamResponse:
        try:
            try:
                body: object = await request.json()
            except (ValueError, RecursionError):
                body = None
            token = self.register(request.headers.get("Authorization"), body)
        except NotAdmitted as refusal:
            return _refused(refusal)
        trust(request)
        data = {"access_token": token, "expires_in": TOKEN_SECONDS, "sample_rate": TOKEN_RATE}
        return web.json_response({"status": True, "data": data})


def _refused(refusal: NotAdmitted) -> web.Response:
    return web.json_response({"status": False, "message": str(refusal)}, status=refusal.status)
