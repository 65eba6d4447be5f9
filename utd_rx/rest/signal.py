"""The signal port over a WebSocket (docs/contract.md, "Signal socket").

Redirects are not followed: a bearer must not leave for another host.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

import aiohttp
from yarl import URL

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.loop_turns import LoopTurns
from utd_rx.ports.proxy import DIRECT, Proxies, Proxy
from utd_rx.ports.signal import (
    SignalCall,
    SignalEnded,
    SignalEvent,
    SignalOpened,
    SignalRefused,
    SignalSink,
)
from utd_rx.ports.threads import no_threads
from utd_rx.protocol.wire.reading import parse_object, read_text
from utd_rx.protocol.wire.signals import MAX_FRAME, frame_from_wire
from utd_rx.rest.checks import checked_signal_url
from utd_rx.rest.failures import malformed, proxy_refused, timed_out, transport_failure
from utd_rx.rest.frames import IDLE, ClientSocket, SocketFrame, next_frame

OPEN_WITHIN: Final = 10.0
"""Seconds from the beginning to `auth_ok`: 5 s to connect, and the 5 s that the engine waits for
the bearer."""

HEARTBEAT: Final = 25.0
"""Seconds of silence before a ping; half as many more, and the engine is gone."""

CLOSE_WITHIN: Final = 1.0
"""Seconds for the engine to answer the close frame of a socket that is given up."""

_CODES: Final = {
    4001: UTDErrorCode.UNAUTHORIZED,
    4003: UTDErrorCode.BANNED,
    4008: UTDErrorCode.CONFLICT,
}
_REASONS: Final = {
    4003: "the user is banned",
    4008: "replaced by a newer sign-in of this device",
}
"""What a code means where the engine gives no words."""

_DATA: Final = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)


class SignalClient:
    """A `SignalPort` over aiohttp.

    Args:
        proxies: The way to the engine.
        open_within: Seconds that opening may take, with the bearer's being taken.
        heartbeat: Seconds of silence before a ping.
    """

    def __init__(
        self,
        *,
        proxies: Proxies = DIRECT,
        open_within: float = OPEN_WITHIN,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._proxies = proxies
        self._open_within = open_within
        self._heartbeat = heartbeat

    async def run(self, url: str, token: str, sink: SignalSink) -> None:
        """See `SignalPort.run`."""
        told = LoopTurns[SignalEvent](sink)
        try:
            end = await self._serve(url, token, told)
        except UTDStreamException as error:
            end = SignalEnded(None, error)
        finally:
            told.close()
        told.end(end)

    async def _serve(self, url: str, token: str, told: LoopTurns[SignalEvent]) -> SignalEnded:
        where = checked_signal_url(url)
        proxy = self._proxies.for_url(url)
        is_final = False
        try:
            async with aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                middlewares=(_stay,),
            ) as session:
                return await self._talk(session, where, token, proxy, told)
        # Without a cause: aiohttp's errors hold what was sent, the proxy's password among it.
        except TimeoutError:
            failure = timed_out(proxy)
        except aiohttp.ClientHttpProxyError as error:
            failure = proxy_refused(error.status, proxy)
            is_final = error.status == 407  # wrong three times, and its owner may be locked out
        except aiohttp.ClientResponseError as error:
            failure = malformed(f"the engine opens no socket: HTTP {error.status}")
        except (aiohttp.ClientError, OSError) as error:
            secrets = (token, None if proxy is None else proxy.password)
            failure = transport_failure(error, proxy, secrets)
        except RuntimeError as error:
            failure = no_threads(error)
        return SignalEnded(None, failure, is_final)

    async def _talk(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        token: str,
        proxy: Proxy | None,
        told: LoopTurns[SignalEvent],
    ) -> SignalEnded:
        async with asyncio.timeout(self._open_within) as opening:
            async with session.ws_connect(
                url,
                proxy=None if proxy is None else proxy.address,
                proxy_headers=None if proxy is None else proxy.headers,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_WITHIN),
                autoping=False,
                heartbeat=self._heartbeat,
                max_msg_size=MAX_FRAME,
            ) as socket:
                return await converse(socket, token, told, opening)


async def converse(
    socket: ClientSocket, token: str, told: LoopTurns[SignalEvent], opening: asyncio.Timeout
) -> SignalEnded:
    """Show the bearer and hear what the engine tells until the end; `opening` is up once it is."""
    await socket.send_str(json.dumps({"type": "auth", "token": token}))
    is_open = False
    while (frame := await next_frame(socket, told)).type in _DATA or frame.type in IDLE:
        if frame.type in IDLE:
            continue
        event = _event(frame)
        if not is_open and event == SignalOpened():
            is_open = True
            opening.reschedule(None)
        elif not is_open or event == SignalOpened():
            event = SignalRefused()
        told.post(event)
    return _end(frame, token)


async def _stay(
    sent: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    reply = await handler(sent)
    if 300 <= reply.status < 400:
        reply.close()
        raise malformed("the engine redirects its socket, which is not followed", reply.status)
    return reply


def _event(frame: SocketFrame) -> SignalEvent:
    """Read a frame; total."""
    try:
        wire = parse_object(frame.data) if frame.type is aiohttp.WSMsgType.TEXT else None
        if wire is not None and wire.get("type") == "auth_ok":
            return SignalOpened()
        known = None if wire is None else frame_from_wire(wire)
    except RecursionError:  # what the parser could follow, others may not
        known = None
    return SignalRefused() if known is None else SignalCall(*known)


def _end(frame: SocketFrame, token: str) -> SignalEnded:
    """Say why no more frames come."""
    if frame.type is not aiohttp.WSMsgType.CLOSE:
        code = getattr(frame.data, "code", None)  # of a frame that broke the protocol
        if isinstance(code, int):
            error = malformed(f"the engine's socket breaks the protocol: {code}")
        else:
            error = UTDStreamException("the engine's socket broke", code=UTDErrorCode.NETWORK)
        return SignalEnded(None, error)
    code = int(frame.data)
    reason = foreign_text(read_text(frame.extra) or _REASONS.get(code, "no reason given"), token)
    message = f"the engine closed the signal socket: {code}, {reason}"
    kind = _CODES.get(code, UTDErrorCode.NETWORK)
    if kind is UTDErrorCode.CONFLICT:
        return SignalEnded(code, conflict(ConflictReason.REPLACED, message))
    return SignalEnded(code, UTDStreamException(message, code=kind))
