"""`/api/v1/signal`: the upgrade, and whose bearer it is (docs/contract.md, "Signal socket")."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from utd_rx.engine.routes.http import Context
from utd_rx.engine.rules.signal_socket import CLOSE_SECONDS
from utd_rx.engine.serving import trust
from utd_rx.engine.signal_hub import Subscriber
from utd_rx.engine.signal_socket import MAX_FRAME_BYTES, SignalSocket
from utd_rx.engine.tokens import device_of
from utd_rx.engine.web_socket import UpgradedRequest

PATH: Final = "/api/v1/signal"


def connect(context: Context) -> Handler:
    """Return what serves a socket; it shows its bearer in its first frame, as a browser can send
    no header."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        upgraded = UpgradedRequest(request, max_frame=MAX_FRAME_BYTES, close_within=CLOSE_SECONDS)
        socket = SignalSocket(upgraded, context.core.clock)
        await context.hub.serve(socket, partial(admit, context, partial(trust, request)))
        return upgraded.response

    return handle


def admit(context: Context, trusted: Callable[[], None], token: str) -> Subscriber:
    """Say whose a bearer is, or refuse it; `trusted` is called once it was found good."""
    core, now = context.core, context.core.clock.wall()
    bearer = context.tokens.read_bearer(token, now)
    core.refuse_banned(bearer.identity, None)
    trusted()
    ends = core.clock.monotonic() + bearer.expires_at - now
    return Subscriber(
        bearer.identity, device_of(bearer, token), ends, core.calls.ringing_for(bearer.identity)
    )
