"""What hangs in the child of a test, natively and with the GIL held, and kills its app before."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import os
import signal
from pathlib import Path
from typing import Any

from utd_rx.media import child

HUNG = 3.0
"""Seconds, in the place of the child's own."""


def hang() -> None:
    """Tell one's number in the app's place, return never, and let no other thread run."""
    pause = ctypes.PyDLL(None).pause
    Path(f"/proc/{os.getppid()}/fd/1").write_text(str(os.getpid()))
    os.kill(os.getppid(), signal.SIGKILL)
    pause()


class Hanging:
    """Hangs while it serves."""

    async def hang(self) -> None:
        armed, arm = asyncio.Event(), faulthandler.dump_traceback_later

        def see(*args: Any, **kwargs: Any) -> None:
            arm(*args, **kwargs)
            armed.set()

        faulthandler.dump_traceback_later = see
        child.HUNG, child.BEATS = HUNG, 1  # type: ignore[misc] # as short as a test
        await armed.wait()  # for the next sign of life
        hang()
