"""`InApp`: the app's own process, as a `Host` where no media process comes up.

Rooms and devices that were made for one are served here; nothing crosses, and nothing dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from utd_rx.audio.handle import BackendName, port_of
from utd_rx.errors import UTDStreamException
from utd_rx.media.far import found
from utd_rx.ports.audio import AudioPort
from utd_rx.ports.room import RoomPort
from utd_rx.rtc.room import UTDRoom
from utd_rx.state.reports import running_loop


class InApp:
    """Serves on the loop on which it is made."""

    failure: Final = None
    has_come_up: Final = True
    has_served: Final = True
    has_left: Final = True

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def on_end(self, callback: Callable[[UTDStreamException], None]) -> Callable[[], None]:
        """See `Host`: it does not die."""
        return lambda: None

    async def aclose(self) -> None:
        """See `Host`: what lives here is its makers' to close."""

    def room(self, **options: Any) -> RoomPort:
        """Return a room, a `UTDRoom` with these options."""
        return UTDRoom(**options)

    def audio(self, backend: BackendName) -> AudioPort:
        """Return the port of this process's devices."""
        return port_of(backend)

    def port(self, near: object, shape: type, factory: str, *args: Any) -> Any:
        """Return something of a speaker's, which may be called on any thread, as of a process."""
        return _OnLoop(found(factory)(*args), self._loop)


class _OnLoop:
    """Has methods called on a loop, and what they tell, too."""

    def __init__(self, there: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._there = there
        self._loop = loop

    def __getattr__(self, name: str) -> Callable[..., Callable[[], None]]:
        method = getattr(self._there, name)

        def tell(*args: Any) -> Callable[[], None]:
            here = [partial(self._do, value) if callable(value) else value for value in args]
            stops: list[Any] = []
            self._do(lambda: stops.append(method(*here)))
            return partial(self._do, lambda: [stop() for stop in stops if callable(stop)])

        return tell

    def _do(self, work: Callable[..., object], *args: Any) -> None:
        if running_loop() is self._loop:
            work(*args)
        else:
            with suppress(RuntimeError):  # it is closed, nobody waits any more
                self._loop.call_soon_threadsafe(work, *args)
