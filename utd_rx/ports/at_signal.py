"""What is done at a signal before whatever was done at it before."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from utd_rx.errors import invalid

_acts: Final[dict[int, list[Callable[[], None]]]] = {}
_before: Final[dict[int, Any]] = {}
"""What was done at a signal until `_handle` came."""


def first_at(number: int, act: Callable[[], None]) -> Callable[[], None]:
    """Have `act` called at a signal, and then what was: a server's handler, or the end.

    It runs on the main thread between any two lines, so it takes no lock. Returns what takes it
    back.

    Raises:
        UTDStreamException: `VALIDATION` on another thread than the main one, or no such signal.
    """
    if threading.current_thread() is not threading.main_thread():
        raise invalid("signals come to the main thread alone: call this there")
    if (there := signal.getsignal(number)) is not _handle:
        try:
            signal.signal(number, _handle)
        except (OSError, ValueError) as error:
            raise invalid(f"{number!r} is no signal to be handled: {error}") from error
        _before[number] = there
    acts = _acts.setdefault(number, [])
    acts.append(act)

    def undo() -> None:
        if act in acts:
            acts.remove(act)
        is_main = threading.current_thread() is threading.main_thread()
        if not acts and is_main and signal.getsignal(number) is _handle:
            signal.signal(number, _before[number])

    return undo


def _handle(number: int, frame: FrameType | None) -> None:
    for act in tuple(_acts[number]):
        act()
    before = _before[number]
    if callable(before):
        before(number, frame)
    elif before is signal.SIG_DFL:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
