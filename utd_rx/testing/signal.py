"""`FakeSignal`: a signal socket without a network; a test is the engine at its other end."""

from __future__ import annotations

import asyncio
from typing import Final

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.call import UTDCall
from utd_rx.ports.signal import (
    SignalCall,
    SignalEnded,
    SignalEvent,
    SignalOpened,
    SignalRefused,
    SignalSink,
)
from utd_rx.protocol.wire.calls import without_credentials
from utd_rx.rest.checks import checked_signal_url

_CODES: Final = {4001: UTDErrorCode.UNAUTHORIZED, 4003: UTDErrorCode.BANNED}


class FakeSignal:
    """Takes every bearer at once, unless it is told otherwise.

    Attributes:
        dialled: The bearer of each socket so far, in order.
        refuses: Bearers that are answered with 4001.
        error: Why no socket comes up, None while they do.
        is_silent: Whether bearers get no answer, until `accept`.
        ringing: What is repeated to each socket as it opens.
        live: How many sockets there are now.
        most: How many there were at once, at most.
    """

    def __init__(self) -> None:
        self.dialled: list[str] = []
        self.refuses: set[str] = set()
        self.error: UTDStreamException | None = None
        self.is_silent = False
        self.ringing: tuple[UTDCall, ...] = ()
        self.live = 0
        self.most = 0
        self._sink: SignalSink | None = None
        self._is_open = False
        self._end: asyncio.Future[SignalEnded] | None = None

    # --- what the engine does -------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether a socket is up whose bearer was taken."""
        return self._is_open

    def accept(self) -> None:
        """Take the bearer of the socket that waits for it, and repeat what rings."""
        self._is_open = True
        repeated = (SignalCall("incoming", call) for call in self.ringing)
        self._deliver(SignalOpened(), *repeated)

    def tell(self, *frames: tuple[str, UTDCall]) -> None:
        """Send frames, of kind and call, in one turn; without a socket they are lost."""
        if self._is_open:
            self._deliver(*(SignalCall(kind, without_credentials(call)) for kind, call in frames))

    def babble(self) -> None:
        """Send what means nothing."""
        self._deliver(SignalRefused())

    def end(self, code: int | None = None) -> None:
        """End the socket, with a close code or without; nothing when there is none."""
        self._finish(SignalEnded(code, _why(code)))

    # --- the port -------------------------------------------------------------------------------

    async def run(self, url: str, token: str, sink: SignalSink) -> None:
        try:
            checked_signal_url(url)
        except UTDStreamException as error:
            sink((SignalEnded(None, error),))
            return
        self.dialled.append(token)
        self.live += 1
        self.most = max(self.most, self.live)
        self._sink, self._end = sink, asyncio.get_running_loop().create_future()
        try:
            if self.error is not None:
                self._finish(SignalEnded(None, self.error))
            elif token in self.refuses:
                self.end(4001)
            elif not self.is_silent:
                self.accept()
            end = await self._end
        finally:
            self.live -= 1
            self._sink = self._end = None
            self._is_open = False
        sink((end,))

    def _deliver(self, *events: SignalEvent) -> None:
        if self._sink is not None and events:
            self._sink(events)

    def _finish(self, end: SignalEnded) -> None:
        self._is_open = False
        if self._end is not None and not self._end.done():
            self._end.set_result(end)


def _why(code: int | None) -> UTDStreamException:
    if code == 4008:
        return conflict(ConflictReason.REPLACED, "a newer socket of this device")
    kind = _CODES.get(code or 0, UTDErrorCode.NETWORK)
    return UTDStreamException(f"the engine closed the signal socket: {code}", code=kind)
