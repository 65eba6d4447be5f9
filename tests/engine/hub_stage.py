"""A hub that is served, with bearers that say whose they are, for tests without an engine."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from attrs import Factory, define

from tests.engine.fakes import FakeClock
from tests.engine.signalling import Wire, connected
from utd_rx.engine.rules.refusal import Reason, Refusal, banned
from utd_rx.engine.serving import GuestLimits, HttpServer, trust
from utd_rx.engine.signal_hub import SignalHub, Subscriber
from utd_rx.engine.signal_socket import MAX_FRAME_BYTES, SignalSocket
from utd_rx.engine.web_socket import UpgradedRequest
from utd_rx.models.call import UTDCall, UTDCallStatus
from utd_rx.models.stream_type import UTDStreamType

CALL = UTDCall(
    "call_1",
    UTDCallStatus.INITIATING,
    UTDStreamType.AUDIO_CALL,
    room_name="call_1",
    token="secret",
    url="wss://media",
    caller_identity="sara",
    callee_identity="mona",
)
LIFETIME = 100.0


@define
class Stage:
    """A hub that is served; `mona/phone` is the bearer of Mona's phone."""

    clock: FakeClock
    http: aiohttp.ClientSession
    stack: AsyncExitStack
    hub: SignalHub = Factory(lambda stage: SignalHub(stage.clock, stage), takes_self=True)
    url: str = ""
    posted: list[tuple[str, str]] = Factory(list)
    ringing: tuple[UTDCall, ...] = ()

    def post(self, event: str, **body: Any) -> None:
        self.posted.append((event, body["participant"]["identity"]))

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        def admit(token: str) -> Subscriber:
            identity, _, device = token.partition("/")
            if not device:
                raise Refusal(Reason.UNAUTHORIZED, "no bearer")
            if identity == "mallory":
                raise banned()
            trust(request)
            return Subscriber(identity, device, self.clock.monotonic() + LIFETIME, self.ringing)

        upgraded = UpgradedRequest(request, max_frame=MAX_FRAME_BYTES, close_within=2.0)
        await self.hub.serve(SignalSocket(upgraded, self.clock), admit)
        return upgraded.response

    async def connect(self, token: str | None = None) -> Wire:
        return await self.stack.enter_async_context(connected(self.http, self.url, token))


@asynccontextmanager
async def running_hub(limits: GuestLimits | None = None) -> AsyncIterator[Stage]:
    """Serve a hub, with other limits for guests where they are given."""
    async with AsyncExitStack() as stack:
        clock, http = FakeClock(), await stack.enter_async_context(aiohttp.ClientSession())
        stage = Stage(clock, http, stack)
        app = web.Application()
        app.router.add_route("GET", "/signal", stage.serve)
        server = HttpServer(app, "test", shutdown_timeout=1.0, limits=limits)
        listener = socket.create_server(("127.0.0.1", 0))
        stack.push_async_callback(server.aclose)
        await server.start(listener)
        stage.url = f"ws://127.0.0.1:{listener.getsockname()[1]}/signal"
        yield stage
