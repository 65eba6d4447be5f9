"""How long a thread that never yields may keep the GIL while a device is open.

Python hands the GIL over at the end of a switch interval, 5 ms, and every step of the audio path
asks for it: the callback, the supervisor, the native call. Beside one busy thread these turns add
up to more than real time, and the sound breaks. With half a millisecond they do not
(docs/audio.md has the figures). The interval belongs to the whole process, so it is set only while
a device is open, and given back with the last one, unless somebody else has changed it meanwhile.
"""

from __future__ import annotations

import sys
import threading
from typing import Final

INTERVAL: Final = 0.0005
"""Seconds."""

_lock: Final = threading.Lock()
_holders = 0
_before = 0.0


def hold() -> None:
    """Shorten the interval, unless it is short already. Any thread."""
    global _holders, _before
    with _lock:
        _holders += 1
        if _holders == 1:
            _before = sys.getswitchinterval()
            sys.setswitchinterval(min(INTERVAL, _before))


def release() -> None:
    """Give back what `hold` took. Any thread."""
    global _holders
    with _lock:
        _holders -= 1
        if _holders == 0 and sys.getswitchinterval() <= min(INTERVAL, _before):
            sys.setswitchinterval(_before)
