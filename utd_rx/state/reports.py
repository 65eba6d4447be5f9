"""Where the errors of other people's callbacks go."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from itertools import pairwise
from types import TracebackType
from typing import Final
from weakref import WeakKeyDictionary

logger = logging.getLogger("utd_rx.state")

INTERRUPTS: Final = (KeyboardInterrupt, SystemExit)
"""What is meant for the whole program. All else is its callback's own affair: a `CancelledError`
out of the `.result()` of somebody's future cancels neither the dispatcher nor its task."""

_LIBRARIES: Final = (("reactivex.", "utd_rx."), ("reactivex.", "utd_rx.state."))
"""Whose frames say nothing to whoever wrote the callback; the second, where there are no other."""


_COUNTS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Counter[str]]] = WeakKeyDictionary()
"""By what was told: it names a function, and no values, so there are few."""


def report(error: BaseException, what: str) -> None:
    """Tell once of an error that nobody is waiting for; `INTERRUPTS` are raised again instead.

    An exception handler of the running loop's own is told; where there is none, the log is: of
    what fails alike again and again, as at each frame of a sound, the 1st, 2nd, 4th, … time. A
    state may hold tokens and payloads, so `what` names things, as "an observer of 'seats'".
    """
    if isinstance(error, INTERRUPTS):
        raise error
    message = f"{what} raised: {type(error).__name__}{_shorten(error)}"
    loop = running_loop()
    if loop is not None and loop.get_exception_handler() is not None:
        loop.call_exception_handler({"message": message, "exception": error})
    elif (times := _times(loop, message)) & (times - 1) == 0:
        again = f" ({times} times so far)" if times > 1 else ""
        logger.error("%s%s", message, again, exc_info=error)


def _times(loop: asyncio.AbstractEventLoop | None, message: str) -> int:
    """Count how often that was told, with this one, while `loop` is."""
    if loop is None:
        return 1
    counts = _COUNTS.setdefault(loop, Counter())
    counts[message] += 1
    return counts[message]


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs on this thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _shorten(error: BaseException) -> str:
    """Cut the tracebacks of an error and its causes; return whose function raised it."""
    errors = [error]
    for one in errors:  # grows meanwhile
        users = _users(one)
        for frame, inner in pairwise([*users, None]):
            frame.tb_next = inner  # type: ignore[union-attr] # only the last is None
        BaseException.with_traceback(one, users[0] if users else None)  # it may be frozen
        group = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        for cause in (one.__cause__, one.__context__, *group):
            if cause is not None and not any(cause is other for other in errors):
                errors.append(cause)
    outermost = error.__traceback__
    if outermost is None or _is_of(outermost, _LIBRARIES[-1]):
        return ""
    code, module = outermost.tb_frame.f_code, outermost.tb_frame.f_globals.get("__name__")
    return f" in {module}.{code.co_qualname} ({code.co_filename}, line {code.co_firstlineno})"


def _users(error: BaseException) -> list[TracebackType]:
    """Return the user's frames, outermost first; where there are none, the innermost of all."""
    frames = [error.__traceback__] if error.__traceback__ else []
    while frames and (inner := frames[-1].tb_next):
        frames.append(inner)
    for libraries in _LIBRARIES:
        if users := [frame for frame in frames if not _is_of(frame, libraries)]:
            return users
    return frames[-1:]


def _is_of(frame: TracebackType, libraries: tuple[str, ...]) -> bool:
    return f"{frame.tb_frame.f_globals.get('__name__')}.".startswith(libraries)
