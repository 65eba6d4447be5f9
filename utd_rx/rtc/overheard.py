"""What a media server says to a client that is still joining: LiveKit puts it aside until media
stands, which it then never does, and writes it into its log alone, below what it shows there
(docs/livekit.md, "Sent away at once").

Its lines name no room, so who listens has to be the only one of its process that joins, and the
others' connections as they were: of what is said to them, their events tell, too.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from utd_rx.models.connection import DisconnectReason

_LEAVE: Final = re.compile(r"received leave request: LeaveRequest \{[^{]{0,200}?\breason: (\w+)")
_LET_IN: Final = "Client handshake done"
_CLOSED: Final = "Received close frame"
_SOCKETS: Final = "tungstenite::protocol", "tungstenite::handshake::client"
_SESSIONS: Final = "livekit::rtc_engine::rtc_session"

_lock: Final = threading.Lock()
_listening: Final[list[Overheard]] = []


class Overheard:
    """What was said to one who joins, on the running loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.first: asyncio.Future[None] = self.loop.create_future()
        """Done when the server sent it away, or hung up, after it had let it in: before, it was
        another connection, as of the room that was left last."""
        self.reason = DisconnectReason.SIGNAL_CLOSE
        """Why; this one where nothing was said."""
        self._is_let_in = False

    def tell(self, reason: DisconnectReason | None) -> None:
        """Take what was said, None for a welcome; a socket may be told closed before what it said
        last."""
        self._is_let_in |= reason is None
        if reason is None or not self._is_let_in:
            return
        if reason is not DisconnectReason.SIGNAL_CLOSE:
            self.reason = reason
        if not self.first.done():
            self.first.set_result(None)


@contextmanager
def listening() -> Iterator[Overheard]:
    """Listen for the length of the block."""
    made = Overheard()
    with _lock:
        _listening.append(made)
    try:
        yield made
    finally:
        with _lock:
            _listening.remove(made)
        made.first.cancel()


def hear(records: Iterable[Any]) -> None:
    """Take lines of LiveKit's log, on a native thread."""
    if not _listening:
        return
    for record in records:
        if record.target in (_SESSIONS, *_SOCKETS):
            for reason in _reasons(record.message):
                _tell(reason)


def _tell(reason: DisconnectReason | None) -> None:
    with _lock:
        for one in _listening:
            with suppress(RuntimeError):  # its loop is closed
                one.loop.call_soon_threadsafe(one.tell, reason)


def _reasons(message: str) -> Iterator[DisconnectReason | None]:
    """Return what a line says, if it does."""
    if message.startswith(_LET_IN):
        yield None
    elif message.startswith(_CLOSED):
        yield DisconnectReason.SIGNAL_CLOSE
    elif found := _LEAVE.match(message):
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", found[1]).upper()
        yield getattr(DisconnectReason, name, DisconnectReason.UNKNOWN)
