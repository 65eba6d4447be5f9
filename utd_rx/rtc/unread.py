"""Of whom something came that no key here opens: LiveKit drops it and says so in its log alone
(docs/livekit.md, "Encryption").

Its line names who sent it and no room: where somebody of that name is in two rooms of the process,
nobody is told.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

_TARGET: Final = "livekit::rtc_engine::rtc_session"
_LINE: Final = "Failed to decrypt data packet from "

_lock: Final = threading.Lock()
_listening: Final[list[Listener]] = []


class Listener:
    """A room on the running loop; `knows` whether somebody is there, on any thread."""

    def __init__(self, knows: Callable[[str], bool], take: Callable[[str], None]) -> None:
        self.knows, self._take = knows, take
        self._loop = asyncio.get_running_loop()

    def tell(self, identity: str) -> None:
        """Say of whom, on the loop."""
        with suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(self._take, identity)


def listen(knows: Callable[[str], bool], take: Callable[[str], None]) -> Callable[[], None]:
    """Take on the running loop who is not understood of those whom `knows`; returns what ends
    it."""
    made = Listener(knows, take)
    with _lock:
        _listening.append(made)

    def stop() -> None:
        with _lock, suppress(ValueError):
            _listening.remove(made)

    return stop


def hear(records: Iterable[Any]) -> None:
    """Take lines of LiveKit's log, on a native thread."""
    for record in records:
        if record.target == _TARGET and record.message.startswith(_LINE):
            identity = record.message.removeprefix(_LINE)
            with _lock:
                found = [one for one in _listening if one.knows(identity)]
            if len(found) == 1:
                found[0].tell(identity)
