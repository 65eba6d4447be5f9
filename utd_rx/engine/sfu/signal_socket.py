"""The WebSocket of one signal connection: a bounded queue, one writer task, one reader."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from utd_rx.engine.sfu.limits import MAX_SIGNAL_BYTES, LimitError, decode_request

_logger = logging.getLogger(__name__)

# Policy when full: close the connection. The client resumes and gets a snapshot.
_MAX_QUEUED: Final = 4096
_MAX_QUEUED_BYTES: Final = 8 * 1024 * 1024
_CLOSE_TIMEOUT: Final = 1.0
# A client whose TCP window stays shut this long is gone, or wants our memory.
_SEND_TIMEOUT: Final = 10.0


class SignalSocket:
    """The connection `request` is upgraded to. Implements `sfu_participant.SignalConnection`."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._socket = web.WebSocketResponse(max_msg_size=MAX_SIGNAL_BYTES, timeout=_CLOSE_TIMEOUT)
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._news = asyncio.Event()
        self._is_closed = False

    @property
    def can_upgrade(self) -> bool:
        return self._socket.can_prepare(self._request).ok

    async def upgrade(self) -> None:
        await self._socket.prepare(self._request)

    def send(self, message: bytes) -> None:
        """Queue one message; a client that does not read is cut off."""
        if self._is_closed:
            return
        if len(self._queue) >= _MAX_QUEUED or self._queued > _MAX_QUEUED_BYTES:
            self._queue.clear()
            self.close()
            return
        self._queue.append(message)
        self._queued += len(message)
        self._news.set()

    def close(self) -> None:
        """Close after what is queued."""
        self._is_closed = True
        self._news.set()

    async def serve(
        self,
        handle: Callable[[rtc.SignalRequest], None] | None = None,
        refuse: Callable[[LimitError], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> web.WebSocketResponse:
        """Send what is queued and hand over what arrives, until either side closes.

        Without `handle` the first message ends it. `on_end` runs when nothing more arrives.
        """
        writer = asyncio.create_task(self._write(), name="utd-sfu-signal-writer")
        try:
            async for message in self._socket:
                code = self._take(message, handle, refuse) if handle and refuse else WSCloseCode.OK
                del message  # nothing of it is kept while the next one is awaited
                if code is not None:
                    await self._socket.close(code=code)
                    break
        finally:
            if on_end is not None:
                on_end()
            self.close()
            with contextlib.suppress(TimeoutError):  # what is left is sent, but not for long
                await asyncio.wait_for(writer, 2 * _CLOSE_TIMEOUT)
        return self._socket

    @staticmethod
    def _take(
        message: WSMessage,
        handle: Callable[[rtc.SignalRequest], None],
        refuse: Callable[[LimitError], None],
    ) -> int | None:
        """Hand over one message; the code to close with when it is no request."""
        if message.type is not WSMsgType.BINARY:
            return WSCloseCode.UNSUPPORTED_DATA
        try:
            request = decode_request(message.data)
        except DecodeError:
            return WSCloseCode.INVALID_TEXT
        except LimitError as error:
            refuse(error)
            return None
        handle(request)
        return None

    async def _write(self) -> None:
        try:
            while self._queue or not self._is_closed:
                if not self._queue:
                    self._news.clear()
                    await self._news.wait()
                    continue
                message = self._queue.popleft()
                self._queued -= len(message)
                async with asyncio.timeout(_SEND_TIMEOUT):
                    await self._socket.send_bytes(message)
            async with asyncio.timeout(2 * _CLOSE_TIMEOUT):
                await self._socket.close()
        except (TimeoutError, ConnectionError, RuntimeError) as error:
            _logger.debug("signal connection cut: %s", type(error).__name__)
            if self._request.transport is not None:
                self._request.transport.abort()
