"""`FakeAgentSocket`: an agent's socket without a network; a test is the agent at its other end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
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


class FakeAgentSocket:
    """Opens at once for whoever comes, unless it is told otherwise.

    Attributes:
        addresses: What was dialled so far, in order.
        sent: The frames that were sent, on whichever socket, in order.
        goodbyes: The codes that sockets were closed with from this side.
        dropped: How many sockets were given up without a goodbye.
        end_of_all: What every connection ends with instead of a socket, None while they open.
        is_silent: Whether a connection gets no answer, until `accept`.
        is_stuck: Whether what is sent is not taken; see `unstick`.
    """

    def __init__(self) -> None:
        self.addresses: list[AgentSocketAddress] = []
        self.sent: list[str] = []
        self.goodbyes: list[int] = []
        self.dropped = 0
        self.end_of_all: AgentSocketEnded | None = None
        self.is_silent = False
        self.is_stuck = False
        self._is_open = False
        self._is_gone = False
        self._sink: AgentSocketSink | None = None
        self._end: asyncio.Future[AgentSocketEnded] | None = None
        self._changed = asyncio.Event()

    # --- what the agent does --------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether there is a socket, as far as the agent knows."""
        return self._is_open

    async def until(self, is_so: Callable[[FakeAgentSocket], object]) -> None:
        """Wait until something holds of this fake."""
        while not is_so(self):
            self._changed.clear()
            await self._changed.wait()

    def accept(self) -> None:
        """Open the socket that waits for it."""
        self._is_open = True
        self._deliver(AgentSocketOpened())

    def tell(self, *texts: str) -> None:
        """Send text frames, in one turn; without a socket they are lost.

        One that is longer than `MAX_FRAME` ends the socket.
        """
        fits = [text for text in texts if len(text) <= MAX_FRAME]
        self._deliver(*map(AgentSocketText, fits))
        if len(fits) < len(texts):
            self.end(1009)

    def babble(self) -> None:
        """Send a frame that is no text."""
        self._deliver(AgentSocketNoise())

    def refuse(self, status: int, retry_after: float | None = None) -> None:
        """Answer every connection with an HTTP status from now on."""
        message = f"the agent opens no WebSocket: HTTP {status}"
        self.end_of_all = AgentSocketEnded(AgentSocketEnd.REFUSED, status, message, retry_after)

    def end(self, code: int | None = None) -> None:
        """Close the socket, with a code or without."""
        message = f"the agent's connection was closed: {code}"
        self._finish(AgentSocketEnded(AgentSocketEnd.CLOSED, code or 1005, message))

    def lose(self) -> None:
        """Break the connection."""
        self._finish(AgentSocketEnded(AgentSocketEnd.LOST, message="the connection broke"))

    def vanish(self) -> None:
        """Be gone without a word: what is sent is not taken; `miss` is when that is noticed."""
        self.is_stuck = self._is_gone = True

    def miss(self) -> None:
        """Be noticed to be gone, or never to have answered."""
        self._finish(AgentSocketEnded(AgentSocketEnd.SILENT, message="the agent is gone"))

    def unstick(self) -> None:
        """Take what is sent, and what waits."""
        self.is_stuck = False
        self._changed.set()

    # --- the port -------------------------------------------------------------------------------

    async def run(self, address: AgentSocketAddress, sink: AgentSocketSink) -> None:
        if self._end is not None:
            raise conflict(ConflictReason.BUSY, "the agent's socket runs already: wait for its end")
        self._sink, self._end = sink, asyncio.get_running_loop().create_future()
        self._is_gone = False
        self.addresses.append(address)
        self._changed.set()
        try:
            if self.end_of_all is not None:
                self._finish(self.end_of_all)
            elif not self.is_silent:
                self.accept()
            end = await self._end
        except asyncio.CancelledError:
            self.dropped += 1
            raise
        finally:
            self._sink = self._end = None
            self._is_open = False
            self._changed.set()
        sink((end,))

    async def send(self, text: str) -> None:
        end = self._end
        while self._is_open and self._end is end and self.is_stuck:
            self._changed.clear()
            await self._changed.wait()
        if not self._is_open or self._end is not end:
            message = "the agent's socket is not open: wait until the session is connected"
            raise UTDStreamException(message, code=UTDErrorCode.NETWORK)
        self.sent.append(text)
        self._changed.set()

    async def close(self, code: int = 1000) -> None:
        if self._is_open:
            self.goodbyes.append(code)
            self.miss() if self._is_gone else self.end(code)

    def _deliver(self, *events: AgentSocketEvent) -> None:
        if self._sink is not None and self._is_open and events:
            self._sink(events)

    def _finish(self, end: AgentSocketEnded) -> None:
        self._is_open = False
        self._changed.set()
        if self._end is not None and not self._end.done():
            self._end.set_result(end)
