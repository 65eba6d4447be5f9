"""`pickled`: a port at the other end of a pipe, as far as values can tell.

The two ends are those of a media process (`utd_rx.media`), and the port is in no process of its
own, but on another thread's event loop: a test reaches what it has there. A port that passes its
contract suite behind this hands over nothing that is alive.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar, cast

from utd_rx.errors import UTDStreamException
from utd_rx.media.far import FarEnd
from utd_rx.media.near import Near, NearEnd, closed

P = TypeVar("P")


@asynccontextmanager
async def pickled(
    make: Callable[[], P],
    close: Callable[[], Awaitable[None]] | None = None,
    *,
    near: Callable[[NearEnd, int, type], Near] = Near,
) -> AsyncIterator[P]:
    """Make a port on a thread of its own, and give one that stands for it here.

    Args:
        make: Makes the port; called on its loop.
        close: Closes what is behind it, on its loop, where the port itself cannot be closed.
        near: What stands for it.
    """
    loop = asyncio.new_event_loop()
    here, there = socket.socketpair()

    async def serve() -> tuple[FarEnd, P]:
        port = make()
        far = FarEnd(there, _nothing, lambda _: lambda: port)
        far.pipe.attach()
        return far, port

    async def end(far: FarEnd) -> None:
        if close is not None:
            await close()
        await far.aclose()

    def run() -> None:
        loop.run_forever()
        if ending := asyncio.all_tasks(loop):  # cancelled from here, and still closing something
            loop.run_until_complete(asyncio.wait(ending, timeout=10))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    async def on_its_loop(work: Any) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

    thread = threading.Thread(target=run, name="utd_rx the other end", daemon=True)
    thread.start()
    try:
        far, port = await on_its_loop(serve())
        mine = NearEnd(here, _nothing)
        try:
            yield cast("P", mine.make(near, type(port), "the port"))
        finally:
            mine.fail(partial(closed, "port"))
            await on_its_loop(end(far))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)


def _nothing(error: UTDStreamException | None) -> None:
    """That the other end is gone is no news here."""
