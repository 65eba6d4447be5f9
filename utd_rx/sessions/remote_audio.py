"""The sound of one remote participant as an observable of frames."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from reactivex import Observable, abc, create
from reactivex.disposable import CompositeDisposable, Disposable

from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import AudioFrame, AudioInputStream, FrameSink
from utd_rx.models.participant import TrackSource
from utd_rx.ports.crossing import FrameBox
from utd_rx.protocol.roster import Roster
from utd_rx.rtc.port import RoomPort
from utd_rx.state import StateSubject
from utd_rx.state.piping import piped

logger = logging.getLogger(__name__)

Spawn = Callable[[Awaitable[None], str], "asyncio.Task[None]"]


def remote_audio(
    room: RoomPort, track_sid: StateSubject[str | None], identity: str, spawn: Spawn
) -> Observable[AudioFrame]:
    """Return the sound of whichever track `track_sid` names from time to time."""

    def subscribe(
        observer: abc.ObserverBase[AudioFrame], _: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        def tell(frames: tuple[AudioFrame, ...]) -> None:
            for frame in frames:
                observer.on_next(frame)

        box = FrameBox(asyncio.get_running_loop(), tell)
        news = asyncio.Event()

        async def follow() -> None:
            stream: AudioInputStream | None = None
            try:
                while True:
                    await news.wait()
                    news.clear()
                    if stream is not None:
                        await stream.aclose()
                        stream = None
                    if (sid := track_sid.value) is not None:
                        stream = await _open(room, sid, box.post)
            finally:
                if stream is not None:
                    await stream.aclose()

        # Not `changes()`, which skips what was undone meanwhile: a track that was gone and is back
        # has to be received anew. And the end is told here, since the session, when it closes,
        # cancels its tasks, `follow` among them.
        telling = track_sid.subscribe(lambda _: news.set(), on_completed=observer.on_completed)
        task = spawn(follow(), f"audio of {identity}")
        return CompositeDisposable(telling, Disposable(lambda: _cancel(task)))

    sound: Observable[AudioFrame] = piped(create(subscribe))
    return sound


def microphone_sid(roster: Roster, identity: str) -> str | None:
    """Return the sid of `identity`'s microphone while its sound arrives, None otherwise."""
    participant = roster.remotes.get(identity)
    track = None if participant is None else participant.track(TrackSource.MICROPHONE)
    return track.sid if track is not None and track.is_subscribed else None


async def _open(room: RoomPort, sid: str, sink: FrameSink) -> AudioInputStream | None:
    try:
        return await room.receive_audio(sid, sink)
    except UTDStreamException as error:
        # The track went away between the commit and here; the next commit says so.
        logger.debug("track %s cannot be received: %s", sid, error)
        return None


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
