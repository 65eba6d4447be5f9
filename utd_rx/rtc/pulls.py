"""Adaptive stream: what is pulled of each remote video, by who looks at it.

A track stays subscribed while nobody looks, so everybody knows that it is there and looking begins
within one key frame; only its packets stay away (docs/livekit.md, "Layers on demand").

LiveKit's native side sends each wish from a task of its own, so of two in a row the second may
overtake. Hence at most one per track every `PAUSE`; and one that takes something away waits as
long, in which it is often taken back: who looks at something else at once, or begins to look as a
track comes. A track may end at any moment of that, before it is known here: so only such requests
are made as survive it (docs/livekit.md, "Tracks that go meanwhile").
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from attrs import define, frozen

from utd_rx.models.secrets import foreign_text
from utd_rx.models.video import MAX_SIDE
from utd_rx.rtc import ffi
from utd_rx.rtc.reception import publication

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

PAUSE: Final = 0.05
"""Seconds between two wishes about a track; a task that is spawned later takes far less to run."""


@frozen
class Pull:
    """What is wanted of a track: nothing, or the smallest layer that has about a height in pixels;
    None is all of it."""

    is_on: bool = True
    height: int | None = None


WHOLE: Final = Pull()
"""What a server sends of a track that nothing was said about."""


def wanted(heights: Iterable[int | None]) -> Pull:
    """Return what serves everybody who looks, by the heights they ask for."""
    known = tuple(heights)
    if not known:
        return Pull(is_on=False)
    return Pull(height=None if None in known else max(height or 0 for height in known))


@define
class _Track:
    asked: Pull = WHOLE
    timer: asyncio.TimerHandle | None = None


class Pulls:
    """What was asked of the server for each remote video of one connection, nothing unless
    `is_adaptive`; `heights` tells what those ask for who look at a track."""

    def __init__(
        self,
        room: rtc.Room,
        heights: Callable[[str], Iterable[int | None]],
        *,
        is_adaptive: bool = True,
    ) -> None:
        self._room = room
        self._heights = heights
        self.is_adaptive = is_adaptive
        self._tracks: dict[str, _Track] = {}

    def begin(self, sid: str) -> None:
        """A video is subscribed from now on, perhaps anew, and with that all of it is sent."""
        self.end(sid)
        if self.is_adaptive:
            self._tracks[sid] = _Track()
            self._wait(sid, self._tracks[sid])

    def end(self, sid: str) -> None:
        """It is subscribed no more. Idempotent."""
        track = self._tracks.pop(sid, None)
        if track is not None and track.timer is not None:
            track.timer.cancel()

    def keep(self, sids: Iterable[str]) -> None:
        """All but these are over."""
        for sid in self._tracks.keys() - set(sids):
            self.end(sid)

    def adjust(self, sid: str) -> None:
        """Somebody begins or ceases to look."""
        track = self._tracks.get(sid)
        if track is None or track.timer is not None:
            return
        if not track.asked.is_on:
            self._ask(sid, track)
        else:
            self._wait(sid, track)

    def _wait(self, sid: str, track: _Track) -> None:
        track.timer = asyncio.get_running_loop().call_later(PAUSE, self._ask, sid, track)

    def _ask(self, sid: str, track: _Track) -> None:
        track.timer = None
        wish, there = wanted(self._heights(sid)), publication(self._room, sid)
        if wish == track.asked or there is None or there.track is None:
            return
        try:
            if wish.is_on is not track.asked.is_on:
                ffi.switch(there.track, wish.is_on)
            ffi.ask_size(there, *_size(there, wish.height))
        except Exception as error:  # noqa: BLE001 - it went meanwhile; its end is told
            logger.debug(
                "nothing can be asked of %s: %s", foreign_text(sid), foreign_text(repr(error))
            )
            return
        track.asked = wish
        self._wait(sid, track)


def _size(there: rtc.RemoteTrackPublication, height: int | None) -> tuple[int, int]:
    """Return width and height to ask for. Servers compare heights."""
    width, whole = there.width or MAX_SIDE, there.height or MAX_SIDE
    return (width, whole) if height is None else (max(1, height * width // whole), height)
