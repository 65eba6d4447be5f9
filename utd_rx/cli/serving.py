"""What the commands that serve have in common: one announcement, and a good end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Protocol


class LocalServer(Protocol):
    """What is started and ended."""

    async def start(self) -> None: ...
    async def aclose(self) -> None: ...


async def serve(server: LocalServer, announce: Callable[[], str]) -> int:
    """Run a server until SIGINT or SIGTERM, having printed what `announce` says of it; return 0."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    starting = loop.create_task(server.start(), name="server-start")
    waiting = loop.create_task(stopped.wait(), name="server-signal")
    try:
        # A signal must not wait for what comes up slowly, such as a livekit-server.
        await asyncio.wait((starting, waiting), return_when=asyncio.FIRST_COMPLETED)
        if stopped.is_set() and not starting.done():
            return 0
        await starting
        print(announce(), flush=True)
        await waiting
        return 0
    finally:
        for task in (starting, waiting):
            task.cancel()
        await asyncio.gather(starting, waiting, return_exceptions=True)
        await server.aclose()
