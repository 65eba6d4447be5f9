"""Awaiting what somebody else wrote: however it ends, it ends nothing of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from utd_rx.state.reports import INTERRUPTS

T = TypeVar("T")


async def foreign_work(work: Awaitable[T]) -> T:
    """Await `work` in a task of its own, and return its result.

    Raises:
        RuntimeError: It cancelled its task, awaited what was cancelled, or raised what is no
            `Exception`; what is meant for the whole program goes on.

    Cancelling is safe: it cancels `work`.
    """
    task = asyncio.ensure_future(work)
    try:
        return await task
    except (Exception, GeneratorExit, *INTERRUPTS):
        raise
    except BaseException as error:
        me = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and me is not None and me.cancelling():
            raise
        raise RuntimeError(f"it ended by {type(error).__name__}") from error
