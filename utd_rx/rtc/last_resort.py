"""Leaving a room when no event loop is left to do it, in a process that must survive that.

* The interpreter ends with a room joined, or while LiveKit calls it: rooms are left first, and
  calls under way are waited for, `atexit` (docs/livekit.md, "Aborts at exit").
* A signal ends the process: rooms are left first, where the app wants it (`leave_on`).
* The process forks: the rooms are the parent's, and the child leaves them alone.
* The event loop ends while a join is under way: it is watched for on LiveKit's own thread and taken
  back there (docs/livekit.md, "Ghost joins").
"""

from __future__ import annotations

import atexit
import base64
import json
import logging
import os
import sys
import threading
import time
import weakref
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from utd_rx.ports.at_signal import first_at
from utd_rx.rtc import ffi, native_frames

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

EXIT_TIMEOUT: Final = 1.0
"""Seconds that the end of the interpreter waits for servers to confirm; they take 5 ms."""

CALL_TIME: Final = 0.01
"""Seconds; twice the interval at which a thread gets the interpreter that waits for it."""

ENTRY_TIME: Final = 0.5
"""Seconds in which whoever waits for the interpreter gets it, also where others keep it busy."""

LATE_TIMEOUT: Final = 120.0
"""Seconds after which no join can still succeed: LiveKit tries 4 times, 25 s at most each."""

_living: Final[weakref.WeakSet[rtc.Room]] = weakref.WeakSet()


def guard(room: rtc.Room) -> None:
    """Leave `room` when the interpreter ends before anybody else did."""
    _living.add(room)


@cache
def register() -> None:
    """See to the end of the interpreter; once LiveKit is imported, before it is used."""
    # LiveKit registers its own end when its client is made; handlers run in reverse order, so
    # with the client made first, rooms are left while it still works.
    ffi.client()
    os.register_at_fork(after_in_child=_living.clear)
    atexit.register(_end, os.getpid())


def _end(process: int) -> None:
    """Leave all rooms, let LiveKit end, and whatever it was calling this interpreter for."""
    if os.getpid() != process:
        return
    _leave(_joined())
    at_rest = native_frames.at_rest()
    ffi.client()._dispose()
    begun, passed, is_called = time.monotonic(), 0.0, True
    while is_called and passed < EXIT_TIMEOUT:
        time.sleep(CALL_TIME)  # who waits to call this interpreter gets in meanwhile
        passed = time.monotonic() - begun
        frames = sys._current_frames()
        # Who waits longer is known to the interpreter, and runs nothing yet; so is, for good, a
        # thread that keeps its place: of another library, or one that brought frames.
        waiting = sys._current_exceptions().keys() - frames.keys() - at_rest
        is_called = (bool(waiting) and passed < ENTRY_TIME) or any(map(_is_call, frames.values()))


def leave_on(*numbers: int) -> None:
    """Have this process leave its rooms at these signals, before whatever they did.

    For a program that SIGTERM just ends: without it the others see a ghost for some 20 s. Where a
    handler awaits `aclose` nothing is to be done. A handler that is set later takes its place.

    Args:
        numbers: As `signal.SIGTERM`.

    Raises:
        UTDStreamException: `VALIDATION` on another thread than the main one, or no such signal.

    At the signal it takes 5 ms, and a second at most when the media server does not answer. Nothing
    helps against SIGKILL and `os._exit`.
    """
    for number in numbers:
        first_at(number, leave_all)


def leave_all() -> None:
    """Leave every room of this process without its loop, bounded in time."""
    # On a thread of its own: the main one may hold the lock of LiveKit's queue just now.
    leaving = threading.Thread(target=_leave, args=(_joined(),), daemon=True)
    leaving.start()
    leaving.join(EXIT_TIMEOUT)


def _joined() -> list[int]:
    joined = (room._ffi_handle for room in tuple(_living) if room.isconnected())
    return [handle.handle for handle in joined if handle is not None]


def _is_call(frame: FrameType | None) -> bool:
    """Whether LiveKit's callback is on this stack."""
    while frame is not None and frame.f_code.co_name != "ffi_event_callback":
        frame = frame.f_back
    return frame is not None


def _leave(handles: list[int]) -> None:
    """Leave the rooms of these native handles, without a loop, bounded in time."""
    if not handles:
        return
    from livekit.rtc._proto import ffi_pb2

    staying, left = {next(ffi.numbers): handle for handle in handles}, threading.Event()

    def hear(event: Any) -> None:
        if event.WhichOneof("message") == "disconnect":
            staying.pop(event.disconnect.async_id, None)
            if not staying:
                left.set()

    unwatch = ffi.watch(hear)
    try:
        for number, handle in tuple(staying.items()):
            request = ffi_pb2.FfiRequest()
            request.disconnect.room_handle = handle
            request.disconnect.request_async_id = number
            ffi.client().request(request)
        if not left.wait(EXIT_TIMEOUT):
            logger.warning("the media server did not confirm leaving at exit")
    finally:
        unwatch()


def take_back(token: str) -> None:
    """Watch for a join whose event loop ended, and leave its room when it succeeds."""
    wanted = claims(token)

    def hear(event: Any) -> None:
        if event.WhichOneof("message") == "connect" and event.connect.HasField("result"):
            result = event.connect.result
            if (result.local_participant.info.identity, result.room.info.name) == wanted:
                # Not here: LiveKit calls this under its own lock.
                threading.Thread(
                    target=_take_back_now,
                    args=(result.room.handle.id,),
                    name="utd_rx.rtc: undo a late join",
                    daemon=True,
                ).start()

    timer = threading.Timer(LATE_TIMEOUT, ffi.watch(hear))
    timer.daemon = True
    timer.name = "utd_rx.rtc: watch for a late join"
    timer.start()


def _take_back_now(handle: int) -> None:
    from livekit.rtc._proto import ffi_pb2

    # The handshake whose absence ends the process.
    ready = ffi_pb2.FfiRequest()
    ready.ready_for_room_event.room_handle = handle
    ffi.client().request(ready)
    _leave([handle])


def claims(token: str) -> tuple[str, str]:
    """Return identity and room of a token, unverified: it only tells joins apart."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return claims["sub"], claims["video"]["room"]
    except (IndexError, KeyError, TypeError, ValueError):
        return "", ""
