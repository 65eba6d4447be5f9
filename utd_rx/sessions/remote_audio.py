"""The sound of one remote participant as an observable of frames."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from reactivex import Observable, abc, create
from reactivex.disposable import CompositeDisposable, Disposable

from utd_rx.errors import UTDStreamException
from utd_rx.models import checks
from utd_rx.models.audio import AudioFrame
from utd_rx.ports.room import RoomPort
from utd_rx.protocol.roster import microphone_sid
from utd_rx.sessions.runner import Runner
from utd_rx.state.events import EventStream
from utd_rx.state.piping import piped

logger = logging.getLogger(__name__)


def remote_audio(runner: Runner[Any], room: RoomPort, identity: str) -> Observable[AudioFrame]:
    """Return the sound of whichever microphone track `identity` has from time to time.

    Whichever thread subscribes or disposes, what that causes happens on the session's loop.
    """
    checks.identity(identity)
    track_sid = runner.machine.select(
        lambda state: microphone_sid(state.session.roster, identity), name="audio"
    )

    def subscribe(
        observer: abc.ObserverBase[AudioFrame], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        news = asyncio.Event()
        heard: EventStream[AudioFrame] = EventStream()  # it reports an observer that raises
        hearing = heard.subscribe(observer, scheduler=scheduler)

        def take(frames: tuple[AudioFrame, ...]) -> None:
            for frame in frames:
                heard.emit(frame)

        async def follow() -> None:
            reception: int | None = None
            try:
                while True:
                    await news.wait()
                    news.clear()
                    if reception is not None:
                        await room.unhear(reception)
                        reception = None
                    if (sid := track_sid.value) is None:
                        continue
                    try:
                        reception = await room.hear(sid, take)
                    except UTDStreamException as error:
                        # The track went away between the commit and here; the next one says so.
                        logger.debug("track %s cannot be received: %s", sid, error)
            finally:
                if reception is not None:
                    await room.unhear(reception)

        # Not `changes()`, which skips what was undone meanwhile: a track that was gone and is back
        # has to be received anew. And the end is told here, since the session, when it closes,
        # cancels its tasks, `follow` among them.
        telling = track_sid.subscribe(lambda _: news.set(), on_completed=heard.close)
        following: list[asyncio.Task[None]] = []
        is_over = threading.Event()

        def begin() -> None:
            if not is_over.is_set():
                following.append(runner.spawn(follow(), f"audio of {identity}"))

        def end() -> None:
            is_over.set()
            for task in following:
                task.cancel()

        runner.at_home(begin)
        return CompositeDisposable(hearing, telling, Disposable(lambda: runner.at_home(end)))

    sound: Observable[AudioFrame] = piped(create(subscribe))
    return sound
