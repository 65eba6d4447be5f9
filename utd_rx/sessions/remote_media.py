"""The sound and the pictures of one remote participant as observables of frames."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from reactivex import Observable, abc, create
from reactivex.disposable import CompositeDisposable, Disposable

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models import checks
from utd_rx.models.audio import AudioFrame
from utd_rx.models.participant import TrackSource
from utd_rx.models.secrets import foreign_text
from utd_rx.models.video import VideoFrame
from utd_rx.ports.room import RoomPort, height_asked
from utd_rx.protocol.roster import Roster, received_sid
from utd_rx.protocol.session import SessionState
from utd_rx.sessions.runner import Runner
from utd_rx.state.events import EventStream
from utd_rx.state.piping import piped

logger = logging.getLogger(__name__)

T = TypeVar("T")
Emit: TypeAlias = Callable[[T], None]

PICTURES: Final = (TrackSource.CAMERA, TrackSource.SCREEN_SHARE)


def remote_audio(runner: Runner[Any], room: RoomPort, identity: str) -> Observable[AudioFrame]:
    """Return the sound of whichever microphone track `identity` has from time to time.

    Whichever thread subscribes or disposes, what that causes happens on the session's loop.
    """

    def begin(sid: str, emit: Emit[AudioFrame]) -> Awaitable[int]:
        def take(frames: tuple[AudioFrame, ...]) -> None:
            for frame in frames:
                emit(frame)

        return room.hear(sid, take)

    return _of_source(runner, identity, TrackSource.MICROPHONE, begin, room.unhear)


def remote_video(
    runner: Runner[Any],
    room: RoomPort,
    identity: str,
    source: TrackSource,
    max_height: int | None,
) -> Observable[VideoFrame]:
    """Return the pictures of whichever track of `source` `identity` has, as `remote_audio`."""
    if source not in PICTURES:
        raise invalid(f"a video's source is CAMERA or SCREEN_SHARE, not {source!r}")
    begin = partial(room.look, max_height=height_asked(max_height))
    return _of_source(runner, identity, source, begin, room.unlook)


def _of_source(
    runner: Runner[Any],
    identity: str,
    source: TrackSource,
    begin: Callable[[str, Emit[T]], Awaitable[int]],
    end: Callable[[int], Awaitable[None]],
) -> Observable[T]:
    who = checks.identity(identity)
    what = f"{source.name.lower()} of {who}"
    return followed(runner, what, lambda roster: received_sid(roster, who, source), begin, end)


def followed(
    runner: Runner[Any],
    what: str,
    sid_in: Callable[[Roster], str | None],
    begin: Callable[[str, Emit[T]], Awaitable[int]],
    end: Callable[[int], Awaitable[None]],
) -> Observable[T]:
    """Return what `begin` delivers of the track that `sid_in` finds, from each subscription until
    it is disposed of, with whichever track it is from time to time.

    Whichever thread subscribes or disposes, what that causes happens on the session's loop.
    """

    def sid_of(session: SessionState) -> str | None:
        # Where LiveKit has given up, what was received ended, though the track may be the same.
        return None if session.connection.is_lost else sid_in(session.roster)

    track_sid = runner.machine.select(lambda state: sid_of(state.session), name=what)

    def subscribe(
        observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        news = asyncio.Event()
        frames: EventStream[T] = EventStream()  # it reports an observer that raises
        receiving = frames.subscribe(observer, scheduler=scheduler)

        async def follow() -> None:
            reception: int | None = None
            try:
                while True:
                    await news.wait()
                    news.clear()
                    if reception is not None:
                        await end(reception)
                        reception = None
                    if (sid := track_sid.value) is None:
                        continue
                    try:
                        reception = await begin(sid, frames.emit)
                    except UTDStreamException as error:
                        # The track went away between the commit and here; the next one says so.
                        logger.debug("track %s cannot be received: %s", foreign_text(sid), error)
            finally:
                if reception is not None:
                    await end(reception)

        # Not `changes()`, which skips what was undone meanwhile: a track that was gone and is back
        # has to be received anew. And the end is told here, since the session, when it closes,
        # cancels its tasks, `follow` among them.
        telling = track_sid.subscribe(lambda _: news.set(), on_completed=frames.close)
        following: list[asyncio.Task[None]] = []
        is_over = threading.Event()

        def start() -> None:
            if not is_over.is_set():
                following.append(runner.spawn(follow(), what))

        def stop() -> None:
            is_over.set()
            for task in following:
                task.cancel()

        runner.at_home(start)
        return CompositeDisposable(receiving, telling, Disposable(lambda: runner.at_home(stop)))

    media: Observable[T] = piped(create(subscribe))
    return media
