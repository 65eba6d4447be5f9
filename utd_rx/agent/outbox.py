"""What is said on one socket of a session, in order: messages first, then sound."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.ports.agent_socket import AgentSocketPort

MAX_WAITING: Final = 1_000
"""Messages that wait for the peer; beyond it more are refused. Sound has a bound of its own."""


class AgentOutbox:
    """Sends messages as the peer takes them, and sound whenever none waits.

    Args:
        port: The socket; `send` waits while the peer does not take what was sent before.
        pull: Returns the next message with sound, None while there is none.
    """

    def __init__(self, port: AgentSocketPort, pull: Callable[[], str | None]) -> None:
        self._port = port
        self._pull = pull
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()
        self._has_more = asyncio.Event()
        self._is_closed = False

    def wake(self) -> None:
        """Look for sound again."""
        self._has_more.set()

    def put(self, text: str) -> asyncio.Future[None]:
        """Let a message be sent, whole, behind those before it; the result is done when it was.

        The result raises `NETWORK` when the socket ends before. Cancelling it takes the message
        back, unless it is being sent.

        Raises:
            UTDStreamException: `CONFLICT`, busy: too many wait for the peer.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise conflict(ConflictReason.BUSY, "the agent takes no more messages: try again later")
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.add_done_callback(_looked_at)
        if self._is_closed:
            sent.set_exception(_gone())
        else:
            self._waiting.append((text, sent))
            self._has_more.set()
        return sent

    async def run(self) -> None:
        """Send until the socket ends. Cancelling is safe between messages."""
        try:
            while True:
                if self._waiting:
                    await self._send(*self._waiting.popleft())
                elif (sound := self._pull()) is not None:
                    await self._port.send(sound)
                else:
                    self._has_more.clear()
                    await self._has_more.wait()
        except UTDStreamException:
            return  # the socket says itself how it ended
        finally:
            self.close()

    def close(self) -> None:
        """Send nothing more; whoever waits is told. Idempotent."""
        self._is_closed = True
        while self._waiting:
            _, sent = self._waiting.popleft()
            if not sent.done():
                sent.set_exception(_gone())

    async def _send(self, text: str, sent: asyncio.Future[None]) -> None:
        if sent.done():
            return  # taken back
        try:
            await self._port.send(text)
        except BaseException:
            if not sent.done():
                sent.set_exception(_gone())
            raise
        if not sent.done():
            sent.set_result(None)


def _looked_at(sent: asyncio.Future[None]) -> None:
    """Nobody has to look at what became of a message."""
    if not sent.cancelled():
        sent.exception()


def _gone() -> UTDStreamException:
    message = "the connection to the agent ended before this was sent"
    return UTDStreamException(message, code=UTDErrorCode.NETWORK)
