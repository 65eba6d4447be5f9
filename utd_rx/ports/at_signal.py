"""What is done at a signal before whatever was done at it before."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from utd_rx.errors import invalid


def first_at(number: int, act: Callable[[], None]) -> Callable[[], None]:
    """Have `act` called at a signal, and then what was: a server's handler, or the end.

    It runs on the main thread between any two lines, so it takes no lock. Returns what takes it
    back.

    Raises:
        UTDStreamException: `VALIDATION` on another thread than the main one, or no such signal.
    """
    if threading.current_thread() is not threading.main_thread():
        raise invalid("signals come to the main thread alone: call this there")
    try:
        there = signal.getsignal(number)
        # A handler that came over ours may hand on to it, so it gets another one before it.
        first = there if isinstance(there, _First) else _First(there)
        signal.signal(number, first)
    except (OSError, TypeError, ValueError) as error:
        raise invalid(f"{number!r} is no signal to be handled: {error}") from error
    first.acts.append(act)

    def undo() -> None:
        if act in first.acts:
            first.acts.remove(act)
        if first.acts or threading.current_thread() is not threading.main_thread():
            return
        now: Any = signal.getsignal(number)
        if now is first:
            signal.signal(number, first.before)

    return undo


class _First:
    """A handler that comes before the one that was there."""

    def __init__(self, before: Any) -> None:
        self.acts: list[Callable[[], None]] = []
        self.before = before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        for act in tuple(self.acts):
            act()
        if callable(self.before):
            self.before(number, frame)
        elif self.before is signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
