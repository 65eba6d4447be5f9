"""The sound of one remote participant as an observable of frames."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from reactivex import Observable, abc, create
from reactivex.disposable import CompositeDisposable, Disposable

from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import AudioFrame, AudioInputStream, FrameSink
from utd_rx.models.participant import TrackSource
from utd_rx.protocol.roster import Roster
from utd_rx.rtc.port import RoomPort
from utd_rx.state import StateSubject

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 100
"""Frames that wait for the loop, a second of sound; beyond it the oldest are dropped."""

Spawn = Callable[[Awaitable[None], str], "asyncio.Task[None]"]


def remote_audio(
    room: RoomPort, track_sid: StateSubject[str | None], identity: str, spawn: Spawn
) -> Observable[AudioFrame]:
    """Return the sound of whichever track `track_sid` names from time to time."""

    def subscribe(
        observer: abc.ObserverBase[AudioFrame], _: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        bridge = _Bridge(observer)

        async def follow() -> None:
            stream: AudioInputStream | None = None
            try:
                async for sid in track_sid.changes():
                    if stream is not None:
                        await stream.aclose()
                        stream = None
                    if sid is not None:
                        stream = await _open(room, sid, bridge.push)
            finally:
                if stream is not None:
                    await stream.aclose()

        # Of its own: the session cancels its tasks when it closes, this one among them.
        ending = track_sid.subscribe(on_completed=observer.on_completed)
        task = spawn(follow(), f"audio of {identity}")
        return CompositeDisposable(ending, Disposable(lambda: _cancel(task)))

    return create(subscribe)


def microphone_sid(roster: Roster, identity: str) -> str | None:
    """Return the sid of `identity`'s microphone while its sound arrives, None otherwise."""
    participant = roster.remotes.get(identity)
    track = None if participant is None else participant.track(TrackSource.MICROPHONE)
    return track.sid if track is not None and track.is_subscribed else None


class _Bridge:
    """Carries frames from the port's thread to the loop; one crossing for all that wait."""

    def __init__(self, observer: abc.ObserverBase[AudioFrame]) -> None:
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: deque[AudioFrame] = deque(maxlen=MAX_WAITING)
        self._is_scheduled = False

    def push(self, frame: AudioFrame) -> None:
        """Take a frame, on any thread."""
        with self._lock:
            self._waiting.append(frame)
            if self._is_scheduled:
                return
            self._is_scheduled = True
        self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            frames = list(self._waiting)
            self._waiting.clear()
            self._is_scheduled = False
        for frame in frames:
            self._observer.on_next(frame)


async def _open(room: RoomPort, sid: str, sink: FrameSink) -> AudioInputStream | None:
    try:
        return await room.receive_audio(sid, sink)
    except UTDStreamException as error:
        # The track went away between the commit and here; the next commit says so.
        logger.debug("track %s cannot be received: %s", sid, error)
        return None


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
