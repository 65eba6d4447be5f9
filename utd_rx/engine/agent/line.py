"""`AgentLine`: the WebSocket of one session, and the ways in which it can end.

One task reads. Whoever ends the line stops that task first: only then does aiohttp wait for the
other side's goodbye, without which its own client takes a close code for a lost connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from aiohttp import WSMsgType

from utd_rx.engine.web_socket import WebSocket

MAX_FRAME_BYTES: Final = 1_000_000

GOODBYE_SECONDS: Final = 1.0
"""How long a client may take to answer a close frame."""

_OVER: Final = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


class AgentLine:
    """What is said and heard over `ws`, which is not open yet.

    Attributes:
        end: The close code that the client ended it with, None before and otherwise.
    """

    def __init__(self, ws: WebSocket) -> None:
        self.end: int | None = None
        self._ws = ws
        self._gone = asyncio.Event()
        self._released = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._goodbye: tuple[int, str] | None = None
        self._is_deaf = False

    @property
    def is_open(self) -> bool:
        """Whether it is neither over nor being ended from here."""
        return not (self._gone.is_set() or self._is_deaf or self._goodbye)

    async def open(self) -> None:
        """Open it."""
        await self._ws.open()

    async def serve(self, take: Callable[[str | bytes], Awaitable[None]]) -> None:
        """Read until the line is over; `take` is given each frame."""
        self._reading = asyncio.create_task(self._read(take), name="agent-reader")
        try:
            await asyncio.wait((self._reading,))
            if self._is_deaf:
                # The connection is held, so that the system sends no word either.
                await self._released.wait()
            if self._goodbye is not None:
                code, reason = self._goodbye
                await self._ws.close(code, reason)
            elif not self._reading.cancelled():
                self._reading.result()
        finally:
            self._gone.set()
            self._reading.cancel()
            await asyncio.wait((self._reading,))

    async def send(self, frame: str | bytes) -> None:
        """Send a frame; into a line that is over it is lost."""
        if self.is_open:
            try:
                await (
                    self._ws.send_str(frame)
                    if isinstance(frame, str)
                    else self._ws.send_bytes(frame)
                )
            except ConnectionError:
                return  # the reader sees it, too

    async def ended(self) -> None:
        """Wait for its end."""
        await self._gone.wait()

    async def close(self, code: int, reason: str = "") -> None:
        """Close it with a code, and wait for its end."""
        if self.is_open:
            self._goodbye = code, reason
            self._stop_reading()
        await self._gone.wait()

    def cut(self) -> None:
        """Break the connection, without a goodbye; also that of a line that vanished."""
        self._released.set()
        self._ws.abort()

    def vanish(self) -> None:
        """Read, answer and send nothing any more, pings neither, and keep the connection."""
        if self.is_open:
            self._ws.hold()
            self._is_deaf = True
            self._stop_reading()
            self._gone.set()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    async def _read(self, take: Callable[[str | bytes], Awaitable[None]]) -> None:
        while (frame := await self._ws.receive()).type not in _OVER:
            if frame.type is WSMsgType.PING:
                with suppress(ConnectionError):  # the next frame is its end
                    await self._ws.pong(frame.data)
            elif frame.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await take(frame.data)
        if frame.type is WSMsgType.CLOSE:
            self.end = frame.data
