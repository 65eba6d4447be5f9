"""What is shown while something takes its time, and what is not."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TextIO

_ERASE: Final = "\r\x1b[2K"


@contextmanager
def progress(what: str, out: TextIO | None = None) -> Iterator[None]:
    """Show `what` at once, and its seconds from the first on, then nothing of it.

    Args:
        what: What is being done.
        out: A terminal, or nothing is shown; standard error unless given.
    """
    out = out or sys.stderr
    if not out.isatty():
        yield
        return
    over, began = threading.Event(), time.monotonic()

    def tell() -> None:
        while not over.wait(1.0):
            _write(out, f"{_ERASE}{what} … {time.monotonic() - began:.0f} s")

    teller = threading.Thread(target=tell, name="utd_rx.cli: progress", daemon=True)
    _write(out, f"{what} …")
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
        _write(out, _ERASE)


def notice(line: str) -> None:
    """Say something on standard error that stays, also while there is progress."""
    erase = _ERASE if sys.stderr.isatty() else ""
    _write(sys.stderr, f"{erase}{line}\n")


def hush_livekit() -> None:
    """Keep LiveKit's own log off the screen.

    It warns about the order in which it takes itself down at every leave, and logs an error when
    that comes while it negotiates; the bare SDK does the same, and nothing is wrong.
    """
    logging.getLogger("livekit").setLevel(logging.CRITICAL)


def _write(out: TextIO, text: str) -> None:
    out.write(text)
    out.flush()
