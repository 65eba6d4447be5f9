"""`EmbeddedSfu`: one TCP port for signalling and API, one UDP port for media, one ticking task.

It runs on the loop that called `start`; a host with other work gives it a loop of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from typing import Final

from aiohttp import web
from aiortc import RTCCertificate

from utd_rx.engine.listening import reached_at
from utd_rx.engine.serving import HttpServer
from utd_rx.engine.sfu import signalling, twirp
from utd_rx.engine.sfu.limits import MAX_API_BODY_BYTES
from utd_rx.engine.sfu.options import SfuOptions
from utd_rx.engine.sfu.participant_ports import SfuContext
from utd_rx.engine.sfu.sfu_rooms import SfuRooms
from utd_rx.engine.sfu.udp_mux import UdpMux
from utd_rx.engine.sfu.webhook_sender import SfuWebhookSender

# The shortest deadline that matters is a key frame request 100 ms after a subscription.
_TICK: Final = 0.05
_SHUTDOWN_TIMEOUT: Final = 2.0
# A browser's join request is an offer of 18 kB in the query, and a token carries metadata.
_MAX_FIELD: Final = 1024 * 1024


class EmbeddedSfu:
    """A LiveKit-compatible SFU in this process."""

    def __init__(self, options: SfuOptions) -> None:
        self.url = ""  # `ws://…`, for clients; like `api_url` empty before `start`
        self.api_url = ""  # `http://…`, for `livekit-api`
        self._options = options
        self._mux = UdpMux()
        self._webhooks = SfuWebhookSender(options)
        self._rooms = SfuRooms(
            SfuContext(options, self._mux, RTCCertificate.generateCertificate(), self._webhooks)
        )
        app = _make_app(self._rooms)
        self._http = HttpServer(
            app, "sfu", shutdown_timeout=_SHUTDOWN_TIMEOUT, max_field_size=_MAX_FIELD
        )
        self._is_started = False
        self._ticker: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bind both ports and serve, or nothing; OSError: a port is taken, ValueError: no IPv4."""
        if self._is_started or self._closing is not None:
            raise RuntimeError("an EmbeddedSfu starts once")
        self._is_started = True
        options = self._options
        address = ipaddress.IPv4Address(options.host)
        try:
            self._mux.open(options.host, options.udp_port)
            listener = socket.create_server((options.host, options.port))
            port = listener.getsockname()[1]
            await self._http.start(listener)
        except BaseException:
            await self.aclose()
            raise
        self._webhooks.start()
        self._ticker = asyncio.create_task(self._tick(), name="utd-sfu-ticker")
        local = "127.0.0.1" if address.is_unspecified else options.host
        self.url = f"ws://{reached_at(options.host)}:{port}"
        self.api_url = f"http://{local}:{port}"

    @property
    def udp_port(self) -> int:
        return self._mux.port

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self._rooms.tick(asyncio.get_running_loop().time())

    async def aclose(self) -> None:
        """Send everybody away and free everything. Idempotent; cancelling does not stop it."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="utd-sfu-close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._rooms.close_all()
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        await self._http.aclose()
        self._rooms.close_all()  # of whoever came while the door was closing
        await self._webhooks.aclose()
        self._mux.close()
        # aiortc flushes in tasks of its own; they are done after one more turn.
        await asyncio.sleep(0)


def _make_app(rooms: SfuRooms) -> web.Application:
    app = web.Application(client_max_size=MAX_API_BODY_BYTES)
    app.on_response_prepare.append(_allow_any_origin)
    app.add_routes([web.get("/", _hello)])  # aiohttp answers HEAD from GET
    app.add_routes(signalling.routes(rooms))
    app.add_routes(twirp.routes(rooms))
    return app


async def _hello(_request: web.Request) -> web.Response:
    return web.Response(text="OK")


async def _allow_any_origin(_request: web.Request, response: web.StreamResponse) -> None:
    # Without it a browser reports "unreachable" instead of the status
    # (docs/livekit.md, "Browsers"). What it asks for needs no preflight.
    response.headers["Access-Control-Allow-Origin"] = "*"
