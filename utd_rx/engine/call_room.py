"""The media server's half of one call, brought in line with what the engine wants of it.

Theory of operation: calls are decided without asking the media server, which may be slow or
silent; what follows for it is only *wanted* here, and one task works until it is so, the newest
wish first. So its calls come one after the other, and a wish that was overtaken is never carried
out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from utd_rx.engine.engine_clock import EngineClock
from utd_rx.engine.media import Media, MediaUnavailable
from utd_rx.engine.room_shell import RESYNC_SECONDS
from utd_rx.engine.tasks import OwnedTasks

logger = logging.getLogger(__name__)

PARTIES: Final = 2
"""As many as a call's room holds."""


class CallRoom:
    """A room at the media server, by LiveKit's name; `closed` hears when it is gone for good."""

    def __init__(
        self,
        name: str,
        media: Media,
        clock: EngineClock,
        tasks: OwnedTasks,
        closed: Callable[[], None],
    ) -> None:
        self.name = name
        self.sid: str | None = None
        self._media = media
        self._clock = clock
        self._tasks = tasks
        self._closed = closed
        self._wanted: str | None = None  # metadata; None: no room at all
        self._written: str | None = None
        self._to_expel: dict[str, str] = {}  # identity to sid
        self._is_gone = False
        self._worker: asyncio.Task[None] | None = None

    async def open(self, metadata: str) -> None:
        """Have the room; it is not wanted before `want`. Raises `MediaUnavailable`."""
        found = await self._media.open_room(self.name, metadata, PARTIES)
        self.sid, self._written = found.sid, found.metadata

    def want(self, metadata: str | None) -> None:
        """Have the room carry `metadata`; None: have no room."""
        self._wanted = metadata
        self._start()

    def expel(self, identity: str, sid: str) -> None:
        """Remove a connection that must not be there."""
        self._to_expel[identity] = sid
        self._start()

    def replaced(self, sid: str | None) -> None:
        """Take in that it is another room now, or none: what was written is not in there."""
        self.sid, self._written = sid, None
        self._start()

    def _start(self) -> None:
        is_idle = self._worker is None or self._worker.done()
        if is_idle and not self._is_settled:
            self._worker = self._tasks.spawn(self._work(), f"engine-{self.name}")

    async def _work(self) -> None:
        tries = 0
        while not self._is_settled:
            try:
                await self._step()
                tries = 0
            except MediaUnavailable as error:
                logger.warning("%s: %s; will retry", self.name, error)
                await self._clock.sleep(RESYNC_SECONDS[min(tries, len(RESYNC_SECONDS) - 1)])
                tries += 1
        if self._is_gone:
            self._closed()

    @property
    def _is_settled(self) -> bool:
        if self._wanted is None:
            return self._is_gone
        return self._written == self._wanted and not self._to_expel

    async def _step(self) -> None:
        wanted = self._wanted
        if wanted is None:
            await self._media.close_room(self.name)
            self.sid = self._written = None
            self._is_gone = self._wanted is None
        elif self._to_expel:
            identity, sid = next(iter(self._to_expel.items()))
            found = await self._media.get_participant(self.name, identity)
            if found is not None and found.sid == sid:
                await self._media.remove(self.name, identity)
            if self._to_expel.get(identity) == sid:
                del self._to_expel[identity]
        elif self.sid is None:
            await self.open(wanted)
        elif await self._media.set_room_metadata(self.name, wanted):
            self._written = wanted
        else:
            self.replaced(None)
