"""The agent socket port over a WebSocket of aiohttp (docs/agent.md, "How a connection ends").

Redirects are not followed: a key must not leave for another host. Whoever is gone without a word is
noticed by pings, also while much is sent to them.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final

import aiohttp
from yarl import URL

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.agent_socket import (
    MAX_FRAME,
    AgentSocketAddress,
    AgentSocketEnd,
    AgentSocketEnded,
    AgentSocketEvent,
    AgentSocketNoise,
    AgentSocketOpened,
    AgentSocketSink,
    AgentSocketText,
)
from utd_rx.ports.loop_turns import LoopTurns
from utd_rx.ports.proxy import DIRECT, Proxies, Proxy
from utd_rx.ports.threads import no_threads
from utd_rx.rest.failures import read_retry_after
from utd_rx.rest.frames import IDLE, SocketFrame, next_frame

OPEN_WITHIN: Final = 15.0
"""Seconds from the beginning to the WebSocket."""

HEARTBEAT: Final = 20.0
"""Seconds of silence before a ping; half as many more, and the agent is gone."""

CLOSE_WITHIN: Final = 5.0
"""Seconds for the agent to answer a close frame."""

_SHORT: Final = 8_000
"""Characters of a frame that a transport takes at once: it waits from 64 KiB on."""

_REASON_WITHIN: Final = 0.5  # seconds for the words of a refusal
_REASON_BYTES: Final = 2_000
# RFC 6455, 7.4.1: what no close frame holds.
_NO_CODE: Final = 1005
_NO_GOODBYE: Final = 1006


class AgentSocket:
    """An `AgentSocketPort` over aiohttp.

    Args:
        proxies: The way to the agent.
        open_within: Seconds that opening may take.
        heartbeat: Seconds of silence before a ping.
        close_within: Seconds that the agent may take to answer a close frame.
    """

    def __init__(
        self,
        *,
        proxies: Proxies = DIRECT,
        open_within: float = OPEN_WITHIN,
        heartbeat: float = HEARTBEAT,
        close_within: float = CLOSE_WITHIN,
    ) -> None:
        self._proxies = proxies
        self._open_within = open_within
        self._heartbeat = heartbeat
        self._close_within = close_within
        self._is_running = False
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._dial: _Dial | None = None
        self._goodbye: asyncio.Task[None] | None = None
        self._writing: set[asyncio.Task[None]] = set()

    async def run(self, address: AgentSocketAddress, sink: AgentSocketSink) -> None:
        """See `AgentSocketPort.run`."""
        if self._is_running:
            raise conflict(ConflictReason.BUSY, "the agent's socket runs already: wait for its end")
        self._is_running = True
        told = LoopTurns[AgentSocketEvent](sink)
        try:
            end = await self._serve(address, told)
        finally:
            self._is_running = False
            told.close()
        told.end(end)

    async def send(self, text: str) -> None:
        """See `AgentSocketPort.send`."""
        ws, dial = self._ws, self._dial
        if ws is None or dial is None:
            raise _not_open()
        try:
            if len(text) <= _SHORT and dial.is_idle:
                await ws.send_str(text)  # without waiting
            else:
                await self._send_patiently(ws, text)
        except ConnectionError as error:
            raise _not_open() from error
        if ws is not self._ws:
            raise _not_open()

    async def close(self, code: int = 1000) -> None:
        """See `AgentSocketPort.close`."""
        if self._ws is None:
            return
        if self._goodbye is None:
            closing = self._part(self._ws, code)
            self._goodbye = asyncio.create_task(closing, name="agent-socket-close")
        await asyncio.wait((self._goodbye,))

    async def _serve(
        self, address: AgentSocketAddress, told: LoopTurns[AgentSocketEvent]
    ) -> AgentSocketEnded:
        try:
            url = URL(address.url)
        except ValueError:
            return AgentSocketEnded(AgentSocketEnd.LOST, message="the agent's address is no URL")
        proxy = self._proxies.for_url(address.url)
        dial = _Dial(_secrets_of(url, address, proxy))
        try:
            async with aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                middlewares=(dial.answer,),
            ) as session:
                async with asyncio.timeout(self._open_within):
                    ws = await session.ws_connect(
                        url,
                        headers=dict(address.headers),
                        proxy=None if proxy is None else proxy.address,
                        proxy_headers=None if proxy is None else proxy.headers,
                        timeout=aiohttp.ClientWSTimeout(ws_close=self._close_within),
                        autoclose=False,
                        autoping=False,
                        heartbeat=self._heartbeat,
                        max_msg_size=MAX_FRAME + 1,  # which itself would be too long already
                    )
                try:
                    return await self._talk(ws, told, dial)
                finally:
                    if self._writing or not ws.closed or ws.close_code == _NO_GOODBYE:
                        dial.drop()
                        await ws.close()  # at once, on a connection that is gone
                        await asyncio.gather(*self._writing, return_exceptions=True)
        # Without a cause: aiohttp's errors hold what was sent, the key among it.
        except _Refused as refusal:
            return refusal.end
        except TimeoutError:
            message = f"the agent{_through(proxy)} did not answer in time"
            return AgentSocketEnded(AgentSocketEnd.SILENT, message=message)
        except aiohttp.ClientHttpProxyError as error:
            message = f"the proxy {proxy} answers HTTP {error.status}"
            return AgentSocketEnded(AgentSocketEnd.REFUSED, error.status, message)
        except aiohttp.ClientResponseError as error:
            return dial.lost(f"no WebSocket is opened by the agent{_through(proxy)}", error.message)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            return dial.lost(f"the agent cannot be reached{_through(proxy)}", reason)
        except RuntimeError as error:
            return AgentSocketEnded(AgentSocketEnd.LOST, message=no_threads(error).message)

    async def _talk(
        self,
        ws: aiohttp.ClientWebSocketResponse,
        told: LoopTurns[AgentSocketEvent],
        dial: _Dial,
    ) -> AgentSocketEnded:
        self._ws, self._dial = ws, dial
        told.post(AgentSocketOpened())
        try:
            # Not when it is being closed from here: aiohttp would close it again, by its own code.
            while self._goodbye is None:
                frame = await next_frame(ws, told)
                if frame.type in IDLE:
                    continue
                if frame.type is aiohttp.WSMsgType.TEXT:
                    told.post(AgentSocketText(frame.data))
                elif frame.type is aiohttp.WSMsgType.BINARY:
                    told.post(AgentSocketNoise())
                elif self._goodbye is None:
                    if frame.type is aiohttp.WSMsgType.CLOSE:
                        await self._part(ws, 1000)
                    return dial.end_of(ws, frame)
            await self._goodbye
            return dial.end_of(ws)
        finally:
            self._ws = self._dial = None
            if (goodbye := self._goodbye) is not None:
                self._goodbye = None
                goodbye.cancel()
                await asyncio.wait((goodbye,))

    async def _send_patiently(self, ws: aiohttp.ClientWebSocketResponse, text: str) -> None:
        """Send in a task, which who stops waiting does not stop: aiohttp's senders wait on one
        future, and whoever is cancelled takes all others along, those of later, too."""
        writing = asyncio.create_task(ws.send_str(text), name="agent-socket-send")
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if not writing.cancelled() or (caller is not None and caller.cancelling()):
                raise
            raise _not_open() from None  # a ping waited on it as well, and was given up

    async def _part(self, ws: aiohttp.ClientWebSocketResponse, code: int) -> None:
        """Send a close frame and take the other one."""
        with suppress(TimeoutError):  # which aiohttp's own is for the other one only
            async with asyncio.timeout(self._close_within):
                await ws.close(code=code)


class _Refused(Exception):
    def __init__(self, end: AgentSocketEnded) -> None:
        self.end = end


class _Dial:
    """One connection: what its handshake was answered with, and what becomes of it in words."""

    def __init__(self, secrets: tuple[str | None, ...]) -> None:
        self._secrets = secrets
        self._transport: asyncio.Transport | None = None

    async def answer(
        self, sent: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Take the answer to the handshake, of which aiohttp tells neither words nor transport."""
        reply = await handler(sent)
        if reply.status != 101:
            end = await self._refusal(reply)
            reply.close()
            raise _Refused(end)
        if reply.connection is not None:
            self._transport = reply.connection.transport
        return reply

    @property
    def is_idle(self) -> bool:
        """Whether all that was sent is on its way, so that a short frame is not waited for."""
        return self._transport is not None and self._transport.get_write_buffer_size() == 0

    def drop(self) -> None:
        """Break the connection: what was not sent would else be waited for."""
        if self._transport is not None:
            self._transport.abort()

    def lost(self, message: str, reason: str) -> AgentSocketEnded:
        """Return the end of a connection that broke, or never was."""
        told = foreign_text(reason, *self._secrets)
        return AgentSocketEnded(AgentSocketEnd.LOST, message=f"{message}: {told}")

    def end_of(
        self, ws: aiohttp.ClientWebSocketResponse, frame: SocketFrame | None = None
    ) -> AgentSocketEnded:
        """Return why no more frames come: `frame` is the last one, unless we closed."""
        if isinstance(ws.exception(), TimeoutError):
            message = "the agent answers no more: it is gone"
            return AgentSocketEnded(AgentSocketEnd.SILENT, message=message)
        if frame is None and ws.close_code == _NO_GOODBYE:
            message = "the agent did not answer the goodbye"
            return AgentSocketEnded(AgentSocketEnd.SILENT, message=message)
        if frame is None:
            code, reason = ws.close_code, "as was asked"
        elif frame.type is aiohttp.WSMsgType.CLOSE:
            code, reason = frame.data, frame.extra or "no reason given"
        elif isinstance(frame.data, aiohttp.WebSocketError):
            code, reason = frame.data.code, "it broke the protocol"
        else:
            return self.lost("the connection to the agent broke", "no goodbye")
        code = int(code or _NO_CODE)
        told = foreign_text(reason, *self._secrets)
        message = f"the agent's connection was closed: {code}, {told}"
        return AgentSocketEnded(AgentSocketEnd.CLOSED, code, message)

    async def _refusal(self, reply: aiohttp.ClientResponse) -> AgentSocketEnded:
        words = b""
        with suppress(TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(_REASON_WITHIN):
                words = await reply.content.read(_REASON_BYTES)
        reason = words.decode(errors="replace") or reply.reason or "no reason given"
        told = foreign_text(reason, *self._secrets)
        return AgentSocketEnded(
            AgentSocketEnd.REFUSED,
            reply.status,
            f"the agent opens no WebSocket: HTTP {reply.status}, {told}",
            read_retry_after(reply.headers, time.time()),
        )


def _secrets_of(
    url: URL, address: AgentSocketAddress, proxy: Proxy | None
) -> tuple[str | None, ...]:
    bearers = (value.rpartition(" ")[2] for value in address.headers.values())
    return (url.query.get("token"), *bearers, None if proxy is None else proxy.password)


def _through(proxy: Proxy | None) -> str:
    return "" if proxy is None else f" through the proxy {proxy}"


def _not_open() -> UTDStreamException:
    message = "the agent's socket is not open: wait until the session is connected"
    return UTDStreamException(message, code=UTDErrorCode.NETWORK)
