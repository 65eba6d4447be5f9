"""The app's end of sources that stay there: what is no value is opened here, and its frames cross.

A source of the package's own is a value, a file, a tone, a camera, and is opened in the media
process, where a busy app does not disturb it. What holds something of the app's is not: a callback,
an iterator, an observable, a class of somebody's. So is what is too large to be sent.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import logging
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from attrs import fields

from utd_rx.errors import UTDStreamException, foreign_failure
from utd_rx.media.borrowing import SHUTTING
from utd_rx.media.frames import FrameWriter
from utd_rx.media.pictures import PictureWriter
from utd_rx.media.pipe import Handler, Pipe
from utd_rx.media.ring import RingShape
from utd_rx.media.wire import (
    Lent,
    LentEnded,
    LentLost,
    LentOpened,
    LentShut,
    LentStray,
    OpenLent,
    ReturnLent,
    RingMade,
    ShutLent,
    is_known,
)
from utd_rx.models.audio import AudioFormat, AudioFrame
from utd_rx.models.devices import DeviceKey
from utd_rx.models.video import Losable, VideoFormat, VideoFrame
from utd_rx.ports import living

logger: Final = logging.getLogger(__name__)

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a source that is sent with its sound in it: three minutes at 48 kHz."""


class _Travelling(pickle.Pickler):
    """Refuses what would not be there, in the child, what it is here."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, type | FunctionType | BuiltinFunctionType):
            module = value.__module__ or ""
            if not is_known(module) or module.startswith("utd_rx.testing"):
                raise pickle.PicklingError(f"{module} may not be there")
        is_alive = isinstance(value, DeviceKey) and living.is_here(value)
        if is_alive or isinstance(value, Iterator):  # of which another one would go on by itself
            raise pickle.PicklingError("it is alive here")
        return NotImplemented


def travels(value: object) -> bool:
    """Return whether a value is the same in the media process, and small enough to be sent."""
    words = io.BytesIO()
    try:
        _Travelling(words, pickle.HIGHEST_PROTOCOL).dump(value)
    except Exception:  # noqa: BLE001 - whatever somebody else's `__reduce__` raises
        return False
    return words.tell() <= LARGEST


def announce_ring(pipe: Pipe, number: int, shape: RingShape, descriptors: tuple[int, int]) -> None:
    """Tell the other end of a ring, as the writer of one is given it."""
    memory, bell = descriptors
    copies = [os.dup(memory)]
    try:
        copies.append(os.dup(bell))
    except OSError:
        os.close(copies[0])
        raise
    pipe.post(RingMade(number, shape), copies)


class Lending:
    """The sources of one app that are lent to its media process, and their openings; on the loop
    of the pipe."""

    def __init__(self, pipe: Pipe, handlers: dict[type, Handler]) -> None:
        self._pipe = pipe
        self._numbers = itertools.count(1)
        self._sources: dict[int, Any] = {}
        self._openings: dict[int, _Opening] = {}
        self._unread = 0  # of those that are over
        handlers.update(
            {
                OpenLent: lambda message, _: self._open(message.opening, message.lent),
                ShutLent: lambda message, _: self._shut(message.opening),
                ReturnLent: lambda message, _: self._sources.pop(message.lent, None),
            }
        )

    def lend(self, source: Any) -> Any:
        """Return what crosses instead of a source: itself, where it is a value."""
        if not callable(getattr(source, "open", None)) or travels(source):
            return source
        declared = getattr(source, "format", None)
        number = next(self._numbers)
        self._sources[number] = source
        for kind in (AudioFormat, VideoFormat):
            if isinstance(declared, kind):  # or of a class of somebody's
                return Lent(number, kind(*(getattr(declared, one.name) for one in fields(kind))))
        return Lent(number, None)

    def close(self) -> None:
        """Close what is open: the media process is gone."""
        self._sources.clear()
        for opening in tuple(self._openings.values()):
            opening.shut()

    @property
    def unread(self) -> int:
        """Slots of sound that came faster than the media process has read them."""
        return self._unread + sum(one.unread for one in tuple(self._openings.values()))

    def _open(self, opening: int, lent: int) -> None:
        made = self._openings[opening] = _Opening(opening, self._sources[lent], self._pipe)
        made.task.add_done_callback(partial(self._over, opening))

    def _shut(self, opening: int) -> None:
        if (made := self._openings.get(opening)) is not None:
            made.shut()

    def _over(self, opening: int, task: asyncio.Task[None]) -> None:
        made = self._openings.pop(opening)
        made.end()
        self._unread += made.unread
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("an input failed to close", exc_info=error)
        self._pipe.post(LentShut(opening))


class _Opening:
    """One opening of a source, until its task is cancelled."""

    def __init__(self, number: int, source: Any, pipe: Pipe) -> None:
        self._number = number
        self._source = source
        self._pipe = pipe
        announce = partial(announce_ring, pipe, number)
        is_picture = isinstance(getattr(source, "format", None), VideoFormat)
        self._kind: type = VideoFrame if is_picture else AudioFrame
        self._writer: FrameWriter | PictureWriter
        self._write: Callable[[Any], None]
        if is_picture:
            self._writer = pictures = PictureWriter(announce)
            self._write = pictures.write
        else:
            self._writer = sound = FrameWriter(announce)
            self._write = lambda frame: sound.write((frame,))
        name = "utd_rx.media: a source of the app's"
        self.task: Final = asyncio.create_task(self._run(), name=name)

    @property
    def unread(self) -> int:
        """Slots of sound; of pictures the newest is all that is wanted."""
        return self._writer.lost if isinstance(self._writer, FrameWriter) else 0

    def shut(self) -> None:
        """Begin to close it, on any thread."""
        _closing[self.task] = self._source
        self.task.get_loop().call_soon_threadsafe(self.task.cancel)

    def end(self) -> None:
        """Let nothing more of it cross, whatever the source still delivers."""
        self._writer.close()

    async def _run(self) -> None:
        """Open it, say so, say when it ends, and close it when this is cancelled."""
        if closing := _being_closed(self._source):
            await asyncio.wait(closing, timeout=SHUTTING)
        try:
            stream = await self._source.open(self._put)
        except Exception as error:  # noqa: BLE001 - it crosses
            self._pipe.post(LentOpened(self._number, _crossing(error)))
            return
        try:
            is_losable = isinstance(stream, Losable)
            self._pipe.post(LentOpened(self._number, is_losable=is_losable))
            if isinstance(stream, Losable):
                stream.watch(self._lost)
            self._pipe.post(LentEnded(self._number, await _end_of(stream)))
            await asyncio.get_running_loop().create_future()
        finally:
            await stream.aclose()

    def _lost(self, failure: UTDStreamException | None) -> None:
        told = None if failure is None else _crossing(failure)
        self._pipe.post(LentLost(self._number, cast("UTDStreamException | None", told)))

    def _put(self, frame: object) -> None:
        if isinstance(frame, self._kind):
            self._write(frame)
        else:
            self._pipe.post(LentStray(self._number, type(frame).__name__))


_closing: Final[WeakKeyDictionary[asyncio.Task[None], Any]] = WeakKeyDictionary()
"""Openings that are being closed, and of what: also for a process that is gone."""


def _being_closed(source: Any) -> set[asyncio.Task[None]]:
    """Return the openings of a source that are being closed on this loop."""
    loop = asyncio.get_running_loop()
    return {
        task
        for task, closed in list(_closing.items())
        if closed is source and task.get_loop() is loop and not task.done()
    }


async def _end_of(stream: Any) -> Exception | None:
    try:
        await stream.wait_ended()
    except Exception as error:  # noqa: BLE001 - it crosses
        return _crossing(error)
    return None


def _crossing(error: Exception) -> Exception:
    """Return an error as it can be made on the other side."""
    with suppress(Exception):  # some can be pickled, and not be made again
        if travels(error) and pickle.loads(pickle.dumps(error)):  # noqa: S301 - our own
            return error
    with suppress(Exception):  # whatever somebody's own class lacks or holds
        assert isinstance(error, UTDStreamException)
        plain = UTDStreamException(error.message, code=error.code, reason=error.reason)
        if travels(plain):
            return plain
    return foreign_failure("the input failed", error)
