"""Which remote tracks a connection is to receive, as the server is told.

LiveKit's native side sends each wish from a task of its own, so of two in a row the second may
overtake: one at a time is told of a track, and the last word after a `PAUSE`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from utd_rx.models.secrets import foreign_text
from utd_rx.rtc.pulls import PAUSE
from utd_rx.rtc.reception import publication

if TYPE_CHECKING:
    from livekit import rtc

logger = logging.getLogger("utd_rx.rtc")


class Wishes:
    """Those of one connection."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._pausing: dict[str, asyncio.TimerHandle] = {}
        self._waiting: dict[str, bool] = {}

    def wish(self, sid: str, is_wanted: bool) -> None:
        """Receive a track, or not; nothing when it is gone."""
        if sid in self._pausing:
            self._waiting[sid] = is_wanted
            return
        there = publication(self._room, sid)
        if there is None:
            return
        try:
            there.set_subscribed(is_wanted)
        except Exception as error:  # noqa: BLE001 - it went meanwhile; its end is told
            logger.debug(
                "nothing can be asked of %s: %s", foreign_text(sid), foreign_text(repr(error))
            )
            return
        loop = asyncio.get_running_loop()
        self._pausing[sid] = loop.call_later(PAUSE, self._go_on, sid)

    def close(self) -> None:
        """Ask for nothing more. Idempotent."""
        for timer in self._pausing.values():
            timer.cancel()
        self._waiting.clear()

    def _go_on(self, sid: str) -> None:
        del self._pausing[sid]
        if sid in self._waiting:
            self.wish(sid, self._waiting.pop(sid))
