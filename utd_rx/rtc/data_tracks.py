"""Data tracks of one connection: those it publishes, and those of others that are read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.data_tracks import DataTrackFrame
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.data_tracks import DataFramesSink, data_track_name, require_data_frame
from utd_rx.rtc import ffi, native

if TYPE_CHECKING:
    from livekit import rtc

T = TypeVar("T")

logger: Final = logging.getLogger("utd_rx.rtc")

PUBLISH_TIMEOUT: Final = 12.0
"""Seconds; LiveKit itself gives up after 10."""

WAITING: Final = 64
"""Frames of a track that wait for the loop; beyond it LiveKit drops the oldest."""

_REFUSALS: Final = {
    "already taken": UTDErrorCode.CONFLICT,
    "invalid": UTDErrorCode.VALIDATION,
    "unauthorized": UTDErrorCode.FORBIDDEN,
    "limit reached": UTDErrorCode.RATE_LIMITED,
    "timed-out": UTDErrorCode.TIMEOUT,
}
"""What LiveKit's words for why it does not publish a data track mean."""


class DataTrackEnds:
    """One connection's, which is over when `ended` is done."""

    def __init__(self, room: rtc.Room, ended: asyncio.Future[None]) -> None:
        self._room = room
        self._ended = ended
        self._own: dict[int, rtc.LocalDataTrack] = {}
        self._remote: dict[str, rtc.RemoteDataTrack] = {}
        self._reading: dict[int, asyncio.Task[None]] = {}
        self._steps: set[asyncio.Task[Any]] = set()

    # -- its own --------------------------------------------------------------------------------

    async def publish(self, name: str) -> int:
        """See `RoomPort.publish_data_track`."""
        data_track_name(name)
        local = self._room.local_participant
        if not local.permissions.can_publish_data:
            raise UTDStreamException(
                "The server has not granted sending data, which a data track does.",
                code=UTDErrorCode.FORBIDDEN,
            )
        number = next(ffi.numbers)
        publishing = self._begin(local.publish_data_track(name=name))
        try:
            rivals: list[asyncio.Future[Any]] = [publishing, self._ended]
            await asyncio.wait(rivals, timeout=PUBLISH_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            publishing.add_done_callback(self._take_back)
            raise
        if self._ended.done():
            raise conflict(ConflictReason.LEFT, "The connection ended before it was published.")
        if not publishing.done():
            publishing.add_done_callback(self._take_back)
            raise UTDStreamException(
                f"The data track was not published within {PUBLISH_TIMEOUT:g} s.",
                code=UTDErrorCode.TIMEOUT,
            )
        error = publishing.exception()
        if error is not None:
            raise _refusal(name, error)
        self._own[number] = publishing.result()
        return number

    def push(self, number: int, frame: DataTrackFrame) -> None:
        """See `RoomPort.push_data_frame`."""
        require_data_frame(frame)
        track = self._own.get(number)
        if track is None or self._ended.done():
            raise conflict(ConflictReason.LEFT, "The data track is not published any more.")
        sdk = native.sdk()
        with suppress(sdk.PushFrameError):
            track.try_push(sdk.DataTrackFrame(frame.payload, frame.user_timestamp))
            return
        if track.is_published():
            message = "Frames come faster than LiveKit takes them: this one was not sent."
            raise UTDStreamException(message, code=UTDErrorCode.RATE_LIMITED)
        del self._own[number]
        raise conflict(ConflictReason.LEFT, "The data track is not published any more.")

    async def unpublish(self, number: int) -> None:
        """See `RoomPort.unpublish_data_track`."""
        track = self._own.pop(number, None)
        if track is not None and not self._ended.done():
            await track.unpublish()

    def _begin(self, step: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(step, name="utd_rx.rtc: publish a data track")
        self._steps.add(task)
        task.add_done_callback(self._steps.discard)
        return task

    def _take_back(self, publishing: asyncio.Task[rtc.LocalDataTrack]) -> None:
        """Unpublish what nobody waited for."""
        if not publishing.cancelled() and publishing.exception() is None:
            self._begin(publishing.result().unpublish())

    # -- of others ------------------------------------------------------------------------------

    def published(self, track: rtc.RemoteDataTrack) -> None:
        """Somebody published a data track."""
        self._remote[track.info.sid] = track

    def gone(self, sid: str) -> list[str]:
        """A data track of somebody's ended; what is read of it ends by itself.

        Returns the sids under which it was told: after a full reconnect of its publisher a server
        may go on with another one, of which LiveKit says nothing before the end.
        """
        over = [sid] if sid in self._remote else self._over()
        for each in over:
            del self._remote[each]
        return over

    def _over(self) -> list[str]:
        return [sid for sid, track in self._remote.items() if not track.is_published()]

    def read(self, sid: str, sink: DataFramesSink) -> int:
        """See `RoomPort.read_data_track`."""
        track = self._remote.get(sid)
        if track is None:
            raise UTDStreamException(f"There is no data track {sid}.", code=UTDErrorCode.NOT_FOUND)
        number = next(ffi.numbers)
        reading = self._read(track, sink)
        task = asyncio.create_task(reading, name=f"utd_rx.rtc: read data track {sid}")
        self._reading[number] = task
        task.add_done_callback(lambda _: self._reading.pop(number, None))
        return number

    async def unread(self, number: int) -> None:
        """See `RoomPort.unread_data_track`."""
        if (reading := self._reading.get(number)) is not None:
            reading.cancel()
            await asyncio.wait([reading])

    async def _read(self, track: rtc.RemoteDataTrack, sink: DataFramesSink) -> None:
        frames = track.subscribe(buffer_size=WAITING)
        try:
            async for frame in frames:
                sink(DataTrackFrame(frame.payload, frame.user_timestamp))
        except native.sdk().SubscribeDataTrackError as error:
            sid, told = foreign_text(track.info.sid), foreign_text(error.message)
            logger.warning("data track %s cannot be read: %s", sid, told)
        finally:
            frames.close()

    async def aclose(self) -> None:
        """Read nothing more, and wait for nothing. Idempotent."""
        tasks = [*self._reading.values(), *self._steps]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _refusal(name: str, error: BaseException) -> UTDStreamException:
    words = foreign_text(getattr(error, "message", str(error)))
    code = next((code for sign, code in _REFUSALS.items() if sign in words), UTDErrorCode.SERVER)
    message = f"The data track {name!r} was not published: {words}"
    if code is UTDErrorCode.CONFLICT:
        return conflict(ConflictReason.ALREADY, message)
    return UTDStreamException(message, code=code)
