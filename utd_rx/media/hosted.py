"""What the child makes when it is asked for a port: the adapters that would be in the app."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import Any

from utd_rx.audio.handle import BackendName, port_of
from utd_rx.errors import UTDStreamException
from utd_rx.ports.audio import AudioPort
from utd_rx.rtc import native
from utd_rx.rtc.room import UTDRoom


def room(**options: Any) -> UTDRoom:
    """Return a room; the first begins to load what it joins with."""
    if not _loading:
        _loading.append(asyncio.create_task(_load(), name="utd_rx far: load LiveKit"))
    return UTDRoom(**options)


def audio(backend: BackendName) -> AudioPort:
    """Return the port of that backend."""
    return port_of(backend)


def has_loaded() -> bool:
    """Whether LiveKit, which starts as many threads as it sees cores, has done so."""
    return any(loading.done() for loading in _loading)


async def _load() -> None:
    with suppress(UTDStreamException):  # whoever joins is told
        await native.ready()
    gc.collect()
    gc.freeze()  # as in `child`


_loading: list[asyncio.Task[None]] = []
