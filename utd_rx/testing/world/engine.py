"""`WorldEngine`: the genuine engine of a world, and how its clients reach it without a network."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from functools import partial
from itertools import count
from typing import Final

from utd_rx.engine.agent.host import AgentHost
from utd_rx.engine.call_news import Nobody
from utd_rx.engine.core import EngineCore
from utd_rx.engine.media_facts import MediaReport, take_in
from utd_rx.engine.options import EngineOptions, make_secrets
from utd_rx.engine.routes import signal
from utd_rx.engine.routes.direct import answer, route_of
from utd_rx.engine.routes.http import Context, HttpReply
from utd_rx.engine.routes.table import API
from utd_rx.engine.rules.call_book import CallLimits
from utd_rx.engine.signal_hub import SignalHub
from utd_rx.engine.signal_socket import SignalSocket
from utd_rx.engine.tasks import OwnedTasks
from utd_rx.engine.web_socket import WebSocket
from utd_rx.protocol.wire.reading import parse_object
from utd_rx.rest.exchange import Reply, Request, Transport
from utd_rx.rest.failures import timed_out
from utd_rx.rest.policy import Timeouts
from utd_rx.testing.unknown import UnknownToFakeError, unknown
from utd_rx.testing.world.agent import WorldAgentSocket
from utd_rx.testing.world.clock import WorldEngineClock
from utd_rx.testing.world.network import Link
from utd_rx.testing.world.sent import Asked, answered, arguments_of, call_of
from utd_rx.testing.world.sfu import VirtualSfu
from utd_rx.testing.world.signal import WorldSignal
from utd_rx.testing.world.tokens import WorldTokens

HOST: Final = "engine.world"
BASE_URL: Final = f"https://{HOST}"
LIVEKIT_URL: Final = "wss://media.world"
SIGNAL_URL: Final = f"wss://{HOST}{signal.PATH}"


class WorldEngine:
    """Core, routes, tokens and signal hub of the engine, on the running loop.

    Args:
        options: Of the engine; its ports and its SFU count for nothing.

    Attributes:
        sfu: The media server behind it.
        tokens: What tokens say for both.
        agents: The voice agent.
        sent: What was asked of the engine, in the order in which it came.
    """

    def __init__(self, options: EngineOptions) -> None:
        clock, nobody = WorldEngineClock(), Nobody()
        secrets = make_secrets(options)
        self.tokens = tokens = WorldTokens(clock.wall)
        self.sfu = VirtualSfu(
            self._report,
            tokens.read_ticket,
            wall=clock.wall,
            silent_news=options.silent_update_interval,
        )
        hub = SignalHub(clock, nobody)
        core = EngineCore(
            secrets.app_id,
            self.sfu,
            clock,
            host_grace=options.host_grace,
            limits=CallLimits(options.ring_timeout, options.max_call_seconds),
            teller=hub,
        )
        numbers = count(1)
        self.context = Context(
            core,
            secrets,
            tokens,
            LIVEKIT_URL,
            SIGNAL_URL,
            hub,
            new_id=lambda: f"{next(numbers):024x}",
        )
        self.agents = AgentHost(api_key="sk_world", clock=clock)
        self.sent: list[Asked] = []
        self._poster = nobody
        self._tasks = OwnedTasks()
        self._reports: deque[MediaReport] = deque()
        self._taking_in: asyncio.Task[None] | None = None

    def transport(self, who: str, link: Link) -> Transport:
        """Return how a client of `who` sends its requests, over `link`."""

        async def send(request: Request, timeouts: Timeouts) -> Reply:
            done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            # A task of the engine: it does what arrives, also when nobody waits any more.
            self._tasks.spawn(self._serve(who, link, request, done), f"world-request-{who}")
            try:
                async with asyncio.timeout(timeouts.receive):
                    return await done
            except TimeoutError:
                raise timed_out() from None

        return send

    def signal(self, link: Link) -> WorldSignal:
        """Return the signal socket of a client, over `link`."""
        return WorldSignal(self._serve_socket, link)

    def agent_socket(self, link: Link) -> WorldAgentSocket:
        """Return the socket of a session with the voice agent, over `link`."""
        return WorldAgentSocket(self.agents, link, self._tasks)

    async def aclose(self) -> None:
        """End it. Idempotent."""
        core = self.context.core
        self.context.hub.close()
        await self.agents.hang_up()
        await core.calls.aclose()
        await core.rooms.aclose()
        await self._tasks.aclose()
        await self.sfu.aclose()

    def _serve_socket(self, ws: WebSocket) -> None:
        context = self.context
        socket = SignalSocket(ws, context.core.clock)
        admit = partial(signal.admit, context, lambda: None)
        self._tasks.spawn(context.hub.serve(socket, admit), "world-signal")

    async def _serve(
        self, who: str, link: Link, request: Request, done: asyncio.Future[Reply]
    ) -> None:
        await link.trip()
        try:
            reply = await self._answer(who, request)
        except UnknownToFakeError as error:
            if not done.done():
                done.set_exception(error)
            return
        text = json.dumps(reply.body).encode()
        await link.trip()
        if not done.done():
            done.set_result(Reply(reply.status, reply.headers, text))

    async def _answer(self, who: str, request: Request) -> HttpReply:
        """Answer a request, and note it from when it came."""
        path, query = request.url.raw_path, dict(request.url.query)
        route = route_of(request.method, path)
        if route is None:
            # Not the 404 of an engine, which a client takes for an older one's.
            raise unknown("FakeWorld", f"{request.method} {path}", "its engine has no such route")
        body = request.payload or b""
        place = len(self.sent)
        asked = Asked(
            asyncio.get_running_loop().time(),
            who,
            call_of(route.method, route.path.removeprefix(API)),
            arguments_of(route.names, query, parse_object(body) or {}),
        )
        self.sent.append(asked)
        reply = await answer(self.context, route, query=query, headers=request.headers, body=body)
        self.sent[place] = answered(asked, reply.status, reply.body)
        return reply

    def _report(self, report: MediaReport) -> None:
        """Take one report of the media server, after those before it."""
        self._reports.append(report)
        if self._taking_in is None:
            self._taking_in = self._tasks.spawn(self._take_in(), "world-reports")

    async def _take_in(self) -> None:
        try:
            while self._reports:
                await take_in(self.context.core, self._poster, self._reports.popleft())
        finally:
            self._taking_in = None
