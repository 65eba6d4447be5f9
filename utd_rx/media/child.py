"""The child: an interpreter of its own in which rooms and devices live.

It ends when the app does, however that ends: the socket is closed then, and where somebody else
holds a copy of that, as a process that the app forked, the app's own end is seen. At SIGTERM, which
may be for the app as well, it leaves its rooms and dies. Where it hangs and sees nothing it ends
all the same, later. What it says to nobody, a panic above all, goes into a file that the app reads
when it has died.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import select
import signal
import socket
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Final

from utd_rx.errors import UTDStreamException
from utd_rx.media.choice import VARIABLE
from utd_rx.media.far import FarEnd
from utd_rx.media.gathering import Gathering
from utd_rx.media.priority import Priority
from utd_rx.media.wire import Beat, ChildLog
from utd_rx.models.secrets import foreign_text

BEAT: Final = 1.0
"""Seconds between signs of life."""

BEATS: Final = 30
"""Of them from one wait for the end of one that hangs to the next: each is a thread of its own."""

HUNG: Final = 120.0
"""Seconds without a turn of the loop after which it ends by itself: the app, which gives it up much
sooner, may be gone, and whatever else sees that needs the GIL, which native code may never return.
Time in which both are stopped counts, and that of a machine that sleeps does not, as long as it is
monotonic: so not less than others take to notice that somebody is gone."""

LEAVING: Final = 0.8
"""Seconds to leave the rooms when the app is gone, whose ghost the others see until then."""

MAX_WORDS: Final = 1024 * 1024
"""Bytes of what it says to nobody; then it begins anew."""

LOGGERS: Final = ("root", "utd_rx", "livekit", "asyncio")
"""Whose levels are the app's, as they were when it was started."""

MAX_LINE: Final = 2_000
"""Characters of a line of the log."""

PACKAGE: Final = Path(__file__).parents[1]

FOLDERS: Final = ("media", "models", "ports")
"""Of the package: what both sides have to know alike."""


def stamp(package: Path) -> str:
    """Return what tells one version of the package, installed at one time, from any other."""
    found = [one.stat() for folder in FOLDERS for one in (package / folder).glob("*.py*")]
    newest = max((one.st_mtime_ns for one in found), default=0)  # in an archive there are none
    return f"{package.resolve()} {newest} {sum(one.st_size for one in found)}"


STAMP: Final = stamp(PACKAGE)
"""Of what was imported here."""

OTHER: Final = "utd_rx was changed on disk, or sys.path was: start the program anew"
"""What a child says that would be another version than its app."""


def main(descriptor: int, parent: int, modules: str, levels: str) -> None:
    """Serve the app at the other end of the socket `descriptor` until it is gone; never returns.

    What it will need, the `modules`, is imported before its first sign of life, for which there is
    `HUNG` from its start on; its log is as talkative as the app's, by the `levels` of `LOGGERS`.
    """
    faulthandler.enable()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what the app blocks is its own affair
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ[VARIABLE] = "inline"  # here is where they live
    status = 0
    for name, level in zip(LOGGERS, levels.split(), strict=True):
        logging.getLogger(name).setLevel(int(level))
    try:
        for module in modules.split():
            import_module(module)
        gc.freeze()  # a collection of all modules holds up the sound for 25 ms, and finds nothing
        priority = Priority()
        priority.take()
        asyncio.run(_serve(socket.socket(fileno=descriptor), parent, priority))
    except BaseException:  # noqa: BLE001 - these are its last words
        traceback.print_exc()
        status = 1
    # Not as an interpreter ends: native threads would go on while it is taken apart.
    os._exit(status)


async def _serve(end: socket.socket, parent: int, priority: Priority) -> None:
    from utd_rx.media import hosted  # the app imports this module, and has no use for that

    over, nonsense = asyncio.Event(), list[UTDStreamException]()

    def broken(error: UTDStreamException | None) -> None:
        nonsense.extend([error] if error is not None else [])
        over.set()

    far = FarEnd(end, broken)
    far.handlers[Beat] = lambda beat, _: far.pipe.post(beat)
    logging.getLogger().addHandler(_ToTheApp(far))
    loop = asyncio.get_running_loop()
    is_told = False

    def end_as_told() -> None:
        nonlocal is_told
        is_told = True
        far.pipe.close()  # to the app it dies: what it does now is no news of rooms that live on
        over.set()

    loop.add_signal_handler(signal.SIGTERM, end_as_told)
    _watch(parent, loop, over)
    far.pipe.attach()
    _end_if_hung()
    far.pipe.post(Beat())
    place = Gathering()
    for beat in count(1):
        with suppress(TimeoutError):
            async with asyncio.timeout(BEAT):
                await over.wait()
        if over.is_set():
            break
        if beat % BEATS == 0:
            _end_if_hung()
        far.pipe.post(Beat())
        priority.look()
        is_wanted = priority.is_first and hosted.has_loaded() and not _codes_pictures(far)
        place.look(priority.share, is_wanted=is_wanted)
        if os.fstat(2).st_size > MAX_WORDS:
            os.ftruncate(2, 0)
            os.lseek(2, 0, os.SEEK_SET)
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVING):
            rooms = [port.aclose() for port in far.ports if hasattr(type(port), "aclose")]
            await asyncio.gather(*rooms, return_exceptions=True)
    for error in nonsense:
        raise error
    if is_told:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)


def _end_if_hung() -> None:
    """Begin to wait for the next time anew; what waits, and writes last words, needs no GIL."""
    with suppress(RuntimeError):  # there are no threads to be had just now
        faulthandler.dump_traceback_later(HUNG, exit=True, file=2)


def _codes_pictures(far: FarEnd) -> bool:
    """Whether some thread may code one, for milliseconds in which sound would wait."""
    return any(getattr(port, "has_pictures", False) for port in far.ports)


def _watch(parent: int, loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    """End with the app, even if the loop here has stopped or somebody else holds the socket."""
    try:
        descriptor = os.pidfd_open(parent)
    except OSError:  # it is gone, or the kernel is older than 5.3 and the socket has to do
        if os.getppid() != parent:
            over.set()
        return
    if os.getppid() != parent:
        over.set()

    def wait() -> None:
        select.select([descriptor], (), ())
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(over.set)
        _end_at_last.wait(LEAVING + 0.1)
        os._exit(1)

    threading.Thread(target=wait, name="utd_rx watch the app", daemon=True).start()


_end_at_last: Final = threading.Event()
"""Never set."""


class _ToTheApp(logging.Handler):
    """Hands the log over to the app's, line by line."""

    def __init__(self, far: FarEnd) -> None:
        super().__init__()
        self._far = far

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = foreign_text(self.format(record), max_text=MAX_LINE)
        except Exception:  # noqa: BLE001 - somebody's arguments do not fit their line
            words = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
            text = foreign_text(words, max_text=MAX_LINE)
        self._far.pipe.post(ChildLog(record.name, record.levelno, text))
