"""One signal socket: what it reads, what waits to be written, and its one timer.

What it is told waits in a queue with a bound, written by a task of its own, so that nobody who
tells waits for anybody who reads. Who does not read is cut off.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from aiohttp import WSMsgType

from utd_rx.engine.engine_clock import EngineClock, Timer
from utd_rx.engine.rules import signal_socket as rules
from utd_rx.engine.rules.signal_socket import Act, Close
from utd_rx.engine.web_socket import WebSocket
from utd_rx.protocol.wire.reading import Json, parse_object

logger = logging.getLogger(__name__)

MAX_FRAME_BYTES: Final = 1_000_000

MAX_WAITING: Final = 32
"""Frames told and not yet written: some calls' worth, beyond what the connection itself holds."""

_OVER: Final = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)


class SignalSocket:
    """Serves one signal socket over `ws`."""

    def __init__(self, ws: WebSocket, clock: EngineClock) -> None:
        self._ws = ws
        self._clock = clock
        self._state = rules.connected(clock.monotonic())
        self._waiting: deque[str] = deque()
        self._news = asyncio.Event()
        self._is_ping_due = False
        self._timer: Timer | None = None
        self._timer_at: float | None = None

    def trust(self, expires_at: float) -> None:
        """It showed a good bearer, which ends at `expires_at`, monotonic seconds."""
        self._become(rules.trusted(self._state, expires_at, self._clock.monotonic()))

    def send(self, frame: str) -> None:
        """Tell it something; never waits. Who has too much unread is cut off."""
        if self._state.close is not None:
            return
        if len(self._waiting) >= MAX_WAITING:
            logger.warning("a signal socket does not read; cut off")
            self._cut()
            return
        self._waiting.append(frame)
        self._news.set()

    def close(self, why: Close) -> None:
        """Close it, after what waits to be written; the first reason counts."""
        self._become(rules.closed(self._state, why, self._clock.monotonic()))

    async def run(self, answer: Callable[[Json | None], str | None]) -> None:
        """Open and serve it to its end.

        `answer` takes each JSON object, None for a frame that is none, and says what to send back.
        """
        try:
            await self._ws.open()
            self._become(self._state)
            reader = asyncio.create_task(self._read(answer), name="engine-signal-reader")
            writer = asyncio.create_task(self._write(), name="engine-signal-writer")
            try:
                await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
            finally:
                reader.cancel()
                writer.cancel()
                await asyncio.gather(reader, writer, return_exceptions=True)
            for task in (reader, writer):
                if not task.cancelled():
                    task.result()
            if self._state.close not in (None, Close.LOST):
                await self._ws.close(self._state.close)
        finally:
            self._become(rules.Socket(close=Close.LOST))

    async def _read(self, answer: Callable[[Json | None], str | None]) -> None:
        try:
            while self._state.close is None:
                message = await self._ws.receive()
                if message.type in _OVER:
                    return
                is_pong = message.type is WSMsgType.PONG
                self._become(rules.heard(self._state, self._clock.monotonic(), is_pong=is_pong))
                if self._state.close is not None or is_pong:
                    continue
                if message.type is WSMsgType.PING:
                    await self._ws.pong(message.data)
                    continue
                is_text = message.type is WSMsgType.TEXT
                said = answer(parse_object(message.data) if is_text else None)
                del message  # up to 1 MB, while the next one is awaited
                if said is not None:
                    # Not by the queue: whoever asks too much waits for the answers, alone.
                    await self._ws.send_str(said)
        except ConnectionError:
            return  # the other side is gone

    async def _write(self) -> None:
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                if self._is_ping_due:
                    self._is_ping_due = False
                    await self._ws.ping()
                while self._waiting:
                    await self._ws.send_str(self._waiting.popleft())
                if self._state.close is not None:
                    return
        except ConnectionError:
            return

    def _become(self, state: rules.Socket) -> None:
        if state.close is not None:
            self._news.set()
        self._state = state
        if self._timer is not None and self._timer_at != state.due_at:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and state.due_at is not None:
            self._timer_at = state.due_at
            self._timer = self._clock.call_at(state.due_at, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        state, act = rules.time_passed(self._state, self._clock.monotonic())
        if act is Act.CUT:
            self._cut()
            return
        if act is Act.PING:
            self._is_ping_due = True
            self._news.set()
        self._become(state)

    def _cut(self) -> None:
        self._waiting.clear()
        self._become(rules.Socket(close=Close.LOST))
        self._ws.abort()
