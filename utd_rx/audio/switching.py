"""How long a thread that never yields may keep the GIL while a device is open.

Every step of the audio path asks for the GIL, which Python hands over after 5 ms: beside one busy
thread that adds up to more than real time, and the sound breaks (docs/audio.md has the figures).
The interval belongs to the process, so it is short only while a device is open.
"""

from __future__ import annotations

import sys
import threading
from typing import Final

INTERVAL: Final = 0.0005  # seconds

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
    """Give back what `hold` took, unless somebody else has changed it. Any thread."""
    global _holders
    with _lock:
        _holders -= 1
        if _holders == 0 and sys.getswitchinterval() <= min(INTERVAL, _before):
            sys.setswitchinterval(_before)
