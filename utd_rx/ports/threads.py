"""Threads are begun here, so that a process that may have no more is told so, typed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from utd_rx.errors import UTDErrorCode, UTDStreamException

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` does on another thread; see `asyncio.to_thread`.

    Raises:
        UTDStreamException: `NETWORK`: there are no threads left; or what `work` raises.
    """
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except RuntimeError as error:
        raise no_threads(error) from error


def begin(thread: threading.Thread) -> None:
    """Start a thread, or raise `NETWORK` where there are none left."""
    try:
        thread.start()
    except RuntimeError as error:
        raise no_threads(error) from error


def no_threads(error: RuntimeError) -> UTDStreamException:
    """Return what there is to say where no thread can be begun; any other error is raised again.

    It is `NETWORK`, as for want of descriptors: the same may succeed a moment later.
    """
    if "start new thread" not in str(error):  # nothing else tells it from other errors
        raise error
    return UTDStreamException(
        f"This process may begin no more threads ({error}): end what runs beside it, or raise "
        "`ulimit -u`, or what its container may have (`pids`).",
        code=UTDErrorCode.NETWORK,
    )
