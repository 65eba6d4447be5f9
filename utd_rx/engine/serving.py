"""How both TCP ports of an engine are served: aiohttp, with a bound on who is not known yet.

Theory of operation: who has shown nothing yet is a *guest*. A guest's request head is kept by its
`_Guest` until it is whole, so that half a head costs its own bytes and no parser, task or request.
A guest may send so many bytes in so many seconds; all guests together, too; and it gets one answer,
after which its connection ends. Of heads that are whole one is handled in a turn of the loop, so
that who comes with a thousand at once holds up nobody else. `trust`, called where a request's
credentials were found good, takes the guest out of the way: from then on the connection is
aiohttp's alone, and kept.

Nothing is unpacked for anybody: nobody here needs a compressed body, 4 MB of one may hold 4 GB, and
aiohttp unpacks them as they come, also those that no handler reads. So it is told not to, and a
request with a `Content-Encoding` is refused before its handler runs.

Policies when something is full: too many guests close the oldest, too many bytes the greediest.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from attrs import frozen

_log = logging.getLogger(__name__)

_END_OF_HEAD: Final = b"\r\n\r\n"
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n"
)


@frozen
class GuestLimits:
    """What connections may cost before they have shown a token; sizes are bytes, as received."""

    seconds: float = 10.0  # from the connection to the token; everything answers within ms
    head: int = 1024 * 1024  # request line and fields; Go's default, for a token carries metadata
    fields: int = 128  # of header; a browser sends about twenty
    received: int = 4 * 1024 * 1024  # altogether: a head, and a webhook's body, which is signed
    total: int = 32 * 1024 * 1024  # of all guests; parsing one takes a few times its own
    guests: int = 2048  # at a time; more than a backlog's worth arriving together


class HttpServer:
    """An application on a listening socket; it must call `trust`, or every answer is the last.

    `max_field_size` are bytes of the request line and of each header field. What is public beside
    `start` and `aclose` is for the guests.
    """

    def __init__(
        self,
        app: web.Application,
        name: str,
        *,
        shutdown_timeout: float,
        max_field_size: int = 8190,
        limits: GuestLimits | None = None,
    ) -> None:
        app.on_response_prepare.append(_end_with_answer)
        app.middlewares.append(_guard)  # innermost: the app words its own errors
        self.name = name
        self.limits = limits or GuestLimits()
        log = _log.getChild(name)
        log.addFilter(_in_one_line)
        self._guests: dict[_Guest, None] = {}  # in order of arrival
        self._whole: dict[_Guest, None] = {}  # whose head is, in order
        self._is_handling = False
        self._received = 0
        self._is_open = False
        self._listening: asyncio.Server | None = None
        self._runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,
            handle_signals=False,
            shutdown_timeout=shutdown_timeout,
            max_line_size=max_field_size,
            max_field_size=max_field_size,
            logger=log,
        )

    async def start(self, listener: socket.socket) -> None:
        """Serve on `listener`; `aclose` closes it, also when this is cancelled."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(
            lambda: _Guest(self), sock=listener, backlog=1024, start_serving=False
        )
        await self._runner.setup()
        self._is_open = True
        await self._listening.start_serving()

    async def aclose(self) -> None:
        """Accept nobody any more and end what there is. Idempotent."""
        if self._listening is not None:
            self._listening.close()
        self._is_open = False
        for guest in tuple(self._guests):
            guest.close_unless_handled()
        await self._runner.cleanup()

    def handler(self) -> asyncio.Protocol | None:
        """A new connection's protocol of aiohttp's, None when closed."""
        server = self._runner.server if self._is_open else None
        return server() if server is not None else None

    def handle(self, guest: _Guest) -> None:
        """Have a guest's head handled, when those before it are."""
        self._whole[guest] = None
        if not self._is_handling:
            self._is_handling = True
            asyncio.get_running_loop().call_soon(self._handle_next)

    def _handle_next(self) -> None:
        guest = next(iter(self._whole), None)
        self._is_handling = guest is not None
        if guest is not None:
            del self._whole[guest]
            asyncio.get_running_loop().call_soon(self._handle_next)
            guest.hand_over()

    def admit(self, guest: _Guest) -> bool:
        """Take a new guest in, unless closed; the oldest gives way when there are too many."""
        if self._is_open:
            self._guests[guest] = None
            if len(self._guests) > self.limits.guests:
                next(iter(self._guests)).refuse("too many connections")
        return self._is_open

    def count(self, guest: _Guest, received: int) -> None:
        """Account for bytes of a guest; the greediest gives way when there are too many."""
        if guest not in self._guests:
            return
        self._received += received
        if self._received > self.limits.total:
            max(self._guests, key=lambda one: one.received).refuse("too many bytes at a time")

    def discharge(self, guest: _Guest) -> None:
        """Forget a guest who is gone, or trusted. Idempotent."""
        if guest in self._guests:
            del self._guests[guest]
            self._received -= guest.received
        self._whole.pop(guest, None)


def trust(request: web.Request) -> None:
    """Take `request`'s connection for one of ours: its credentials are good."""
    if (guest := _guest_of(request)) is not None:
        guest.trust()


async def _end_with_answer(request: web.Request, response: web.StreamResponse) -> None:
    # An upgrade is no answer: it is a guest's still, within a guest's bounds.
    if _guest_of(request) is not None and response.status != 101:
        response.force_close()
        response.headers["Connection"] = "close"  # its headers have been written already


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what is packed, and let who went away meanwhile be nobody's error."""
    if hdrs.CONTENT_ENCODING in request.headers:
        # What would be taken instead is told where RFC 9110, 15.5.16, says.
        raise web.HTTPUnsupportedMediaType(headers={hdrs.ACCEPT_ENCODING: "identity"})
    try:
        return await handler(request)
    except (ConnectionError, RuntimeError) as error:
        is_there = request.transport is not None and not request.transport.is_closing()
        # aiohttp's word for a body of which there was more to read is a RuntimeError.
        if is_there or (isinstance(error, RuntimeError) and request.content.at_eof()):
            raise
        return web.Response()  # which nobody reads


def _guest_of(request: web.Request) -> _Guest | None:
    protocol = request.transport.get_protocol() if request.transport is not None else None
    return protocol if isinstance(protocol, _Guest) else None


class _Guest(asyncio.Protocol):
    """One connection until it is trusted; stands between the transport and aiohttp's handler."""

    def __init__(self, server: HttpServer) -> None:
        self.received = 0
        self._server = server
        self._head = bytearray()
        self._is_whole = False  # and not handed over
        self._transport: asyncio.Transport | None = None
        self._handler: asyncio.Protocol | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if not self._server.admit(self):  # accepted while the port was closing
            transport.abort()
            return
        self._transport = transport
        self._deadline = asyncio.get_running_loop().call_later(
            self._server.limits.seconds, self.refuse, "no valid credentials in time"
        )

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._server.count(self, len(data))
        if self._transport is None:  # refused
            return
        if self.received > self._server.limits.received:
            self.refuse("too many bytes without valid credentials")
        elif self._is_whole:
            self._head += data
        elif self._handler is None:
            self._collect(self._transport, data)
        else:
            self._handler.data_received(data)

    def _collect(self, transport: asyncio.Transport, data: bytes) -> None:
        searched = max(0, len(self._head) - len(_END_OF_HEAD) + 1)
        self._head += data
        end, limits = self._head.find(_END_OF_HEAD, searched), self._server.limits
        is_whole = end >= 0
        fields = self._head.count(b"\r\n", 0, end) if is_whole else 0
        if (end if is_whole else len(self._head)) > limits.head or fields > limits.fields:
            transport.write(_TOO_LARGE)
            self.refuse("header too large")
        elif is_whole:
            self._is_whole = True
            self._server.handle(self)

    def hand_over(self) -> None:
        """Let aiohttp have the connection, with what has come on it."""
        transport, self._is_whole = self._transport, False
        if transport is None or transport.is_closing():  # gone meanwhile
            return
        self._handler = handler = self._server.handler()
        if handler is None:
            transport.close()
            return
        handler.connection_made(transport)
        head, self._head = bytes(self._head), bytearray()
        handler.data_received(head)

    def trust(self) -> None:
        self._end()
        if self._transport is not None and self._handler is not None:
            self._transport.set_protocol(self._handler)

    def refuse(self, why: str) -> None:
        """End the connection, with one line in the log."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        host = (transport.get_extra_info("peername") or ("?",))[0]
        _log.warning("%s port: refused a connection from %s: %s", self._server.name, host, why)
        self._end()
        # An answer that was written goes out; who does not read it is not waited for.
        transport.close()
        if transport.get_write_buffer_size():
            transport.abort()

    def close_unless_handled(self) -> None:
        """End the connection when aiohttp will not."""
        if self._handler is None and self._transport is not None:
            self._transport.abort()

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._server.discharge(self)
        self._head.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end()
        if self._handler is not None:
            self._handler.connection_lost(exc)

    def eof_received(self) -> bool | None:
        return self._handler.eof_received() if self._handler is not None else None

    def pause_writing(self) -> None:
        if self._handler is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        if self._handler is not None:
            self._handler.resume_writing()


def _in_one_line(record: logging.LogRecord) -> bool:
    """Let aiohttp's record pass; a request it cannot parse is one line."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | web.RequestPayloadError):
        why = " ".join(str(error).split())
        record.msg, record.args = f"{record.getMessage()}: {why[:100]}", ()
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True
