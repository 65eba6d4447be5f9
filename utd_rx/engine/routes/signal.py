"""`/api/v1/signal`: the upgrade, and whose bearer it is (docs/contract.md, "Signal socket")."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from utd_rx.engine.routes.request import context_of
from utd_rx.engine.serving import trust
from utd_rx.engine.signal_hub import Subscriber
from utd_rx.engine.tokens import device_of, read_bearer

PATH: Final = "/api/v1/signal"


async def connect(request: web.Request) -> web.WebSocketResponse:
    """Serve one socket; it shows its bearer in its first frame, as a browser can send no header."""
    context = context_of(request)
    core = context.core

    def admit(token: str) -> Subscriber:
        now = core.clock.wall()
        bearer = read_bearer(context.secrets, token, now)
        core.refuse_banned(bearer.identity, None)
        trust(request)
        ends = core.clock.monotonic() + bearer.expires_at - now
        ringing = core.calls.ringing_for(bearer.identity)
        return Subscriber(bearer.identity, device_of(bearer, token), ends, ringing)

    return await context.hub.serve(request, admit)
