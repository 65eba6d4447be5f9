"""What is received of one remote track, until somebody closes it or the track ends.

A reception belongs to a track's sid, not to LiveKit's track object: a full reconnect replaces the
object under the same sid, and the reception goes on with the new one.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import define

from utd_rx.rtc import streams

if TYPE_CHECKING:
    from livekit import rtc


@define(eq=False)
class TrackGate:
    """Whether one track is let through; read on any thread."""

    is_open: bool = True


OPEN: Final = TrackGate()
"""Of whatever is in clear."""


class Reception(ABC):
    """The frames of one remote track, taken on LiveKit's threads."""

    def __init__(self, sid: str) -> None:
        self.sid = sid
        self.gate = OPEN
        self.has_ended = False
        self.track: rtc.Track | None = None  # whose frames come now, by this native stream:
        self._stream = 0
        self._stopping: set[asyncio.Task[None]] = set()

    @abstractmethod
    def _open(self, track: rtc.Track, on_end: Callable[[], None]) -> int:
        """Open a native stream of `track`; returns its handle."""

    def attach(self, track: rtc.Track) -> None:
        """Receive `track` from now on; nothing when it is received, or all is over."""
        if self.track is track or self.has_ended:
            return
        self._detach()
        self._stream = self._open(track, partial(self.track_gone, track))
        self.track = track

    def end(self) -> None:
        """Nothing more ever comes: the track is gone. Idempotent."""
        self._detach()
        self.has_ended = True

    async def aclose(self) -> None:
        """End; after it returns nobody is called any more. Cancelling is safe."""
        self.end()
        if self._stopping:
            await asyncio.wait(self._stopping)

    async def leave(self, number: int) -> None:
        """Close it for whom it has this number."""
        await self.aclose()

    def _detach(self) -> None:
        if self.track is not None:
            self.track = None
            closing = streams.exchange().close(self._stream)
            task = asyncio.create_task(closing, name=f"utd_rx.rtc: close stream {self.sid}")
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def track_gone(self, track: rtc.Track) -> None:
        """The native stream of `track` has ended."""
        # The room's events decide whether the reception ends or goes on with another track; that
        # one may be attached already.
        if self.track is track:
            self._detach()


def publication(room: rtc.Room, sid: str) -> rtc.RemoteTrackPublication | None:
    """Return what is published under `sid` by somebody else, None when there is nothing."""
    found = (who.track_publications.get(sid) for who in room.remote_participants.values())
    return next((one for one in found if one is not None), None)
