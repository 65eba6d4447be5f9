"""What the child makes when it is asked for a port: the adapters that would be in the app."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from utd_rx.audio.handle import BackendName, port_of
from utd_rx.errors import UTDStreamException
from utd_rx.ports.audio import AudioPort
from utd_rx.rtc import native
from utd_rx.rtc.room import UTDRoom


def room(**options: Any) -> UTDRoom:
    """Return a room, and begin to load what it joins with."""
    made = UTDRoom(**options)
    made_ready = asyncio.create_task(_load(), name="utd_rx far: load LiveKit")
    _loading.add(made_ready)
    made_ready.add_done_callback(_loading.discard)
    return made


def audio(backend: BackendName) -> AudioPort:
    """Return the port of that backend."""
    return port_of(backend)


async def _load() -> None:
    with suppress(UTDStreamException):  # whoever joins is told
        await native.ready()


_loading: set[asyncio.Task[None]] = set()
