"""The child's end of sources that stay in the app: an input whose frames come from there."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Callable
from typing import Any, Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media.frames import FrameReader
from utd_rx.media.pictures import PictureReader
from utd_rx.media.pipe import Handler, Pipe
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
)
from utd_rx.models.audio import AudioFrame, AudioInputStream
from utd_rx.models.video import VideoFormat

SHUTTING: Final = 2.0
"""Seconds an app may take to close a source of its own before it is left alone."""


class Borrowing:
    """The sources that an app has lent, on the loop of the pipe."""

    def __init__(self, pipe: Pipe, handlers: dict[type, Handler]) -> None:
        self._pipe = pipe
        self._numbers = itertools.count(1)
        self._streams: dict[int, BorrowedStream] = {}
        kinds = (LentOpened, LentLost, LentStray, LentEnded, LentShut)
        handlers.update(dict.fromkeys(kinds, self._told))
        handlers[RingMade] = self._ring_made

    def borrow(self, value: object) -> Any:
        """Return what stands for a source here; any other value as it is."""
        if not isinstance(value, Lent):
            return value
        source = BorrowedInput(self, value)
        weakref.finalize(source, self._pipe.post, ReturnLent(value.number)).atexit = False
        return source

    async def open(self, source: BorrowedInput, sink: Callable[[Any], None]) -> AudioInputStream:
        """Have the app open it. Cancelling is safe: it is closed there, if it was opened."""
        number = next(self._numbers)
        opening = BorrowedStream(number, source, sink, self._pipe)
        self._streams[number] = opening
        self._pipe.post(OpenLent(number, source.lent.number))
        try:
            is_losable = await opening.opened
        except asyncio.CancelledError:
            opening.shut()
            raise
        return LosableBorrowedStream(opening) if is_losable else opening

    def _told(self, message: Any, _: tuple[int, ...]) -> None:
        if (stream := self._streams.get(message.opening)) is not None:
            stream.told(message)
        if isinstance(message, LentShut):
            self._streams.pop(message.opening, None)

    def _ring_made(self, message: RingMade, descriptors: tuple[int, ...]) -> None:
        self._streams[message.number].reader.attach(message.shape, *descriptors)


class BorrowedInput:
    """An `AudioInput` or `VideoInput` that is opened in the app."""

    def __init__(self, borrowing: Borrowing, lent: Lent) -> None:
        self.lent: Final = lent
        self._borrowing = borrowing
        if lent.format is not None:  # one that declares none that can be is told so
            self.format = lent.format

    async def open(self, sink: Callable[[Any], None]) -> AudioInputStream:
        """Deliver its frames to `sink`, on this loop; raises what it raises in the app."""
        return await self._borrowing.open(self, sink)


class BorrowedStream:
    """An opening of it: an `AudioInputStream`."""

    def __init__(
        self, number: int, source: BorrowedInput, sink: Callable[[Any], None], pipe: Pipe
    ) -> None:
        self._number = number
        self._source = source  # alive for as long as this is
        self._sink = sink
        self._pipe = pipe
        loop = asyncio.get_running_loop()
        self.opened: Final[asyncio.Future[bool]] = loop.create_future()
        self._ended: asyncio.Future[Exception | None] = loop.create_future()
        self._shut: asyncio.Future[None] = loop.create_future()
        self._is_over = False
        self.failure: UTDStreamException | None = None
        self.on_lost: Callable[[UTDStreamException | None], None] = lambda failure: None
        is_picture = isinstance(source.lent.format, VideoFormat)
        self.reader = PictureReader(sink) if is_picture else FrameReader(self._hand_on)

    async def wait_ended(self) -> None:
        """Wait until there is no more of it, or it is closed; raise what it failed with.

        Cancelling is safe.
        """
        await asyncio.wait({self._ended})
        if (error := self._ended.result()) is not None:
            raise error

    async def aclose(self) -> None:
        """Close it; after this returns the sink is called no more. Idempotent.

        An app that does not answer is not waited for for long; cancelling is safe.
        """
        self.shut()
        await asyncio.wait({self._shut}, timeout=SHUTTING)

    def shut(self) -> None:
        """Begin to close it; the sink is silent at once. Idempotent."""
        self.reader.stop()
        if not self._is_over:
            self._is_over = True
            self._pipe.post(ShutLent(self._number))
        if not self._ended.done():
            self._ended.set_result(None)

    def told(self, message: Any) -> None:
        """Take what the app tells of it."""
        match message:
            case LentOpened(_, None, is_losable) if not self.opened.done():
                self.opened.set_result(is_losable)
            case LentOpened(_, error) if error and not self.opened.done():
                self.opened.set_exception(error)
            case LentLost(_, failure) if not self._is_over:
                self.failure = failure
                self.on_lost(failure)
            case LentStray(_, type_name) if not self._is_over:
                self._sink(type(type_name, (), {})())
            case LentEnded(_, error) if not self._ended.done():
                self.reader.drain()
                self._ended.set_result(error)
            case LentShut() if not self._shut.done():
                self.reader.stop()
                self._shut.set_result(None)
                over = UTDStreamException("the input was cancelled", code=UTDErrorCode.UNKNOWN)
                if not self.opened.done():
                    self.opened.set_exception(over)
                if not self._ended.done():
                    self._ended.set_result(over)

    def _hand_on(self, frames: tuple[AudioFrame, ...]) -> None:
        for frame in frames:
            self._sink(frame)


class LosableBorrowedStream:
    """One that may lose its device: `Losable`, too."""

    def __init__(self, opening: BorrowedStream) -> None:
        self._opening = opening
        self.wait_ended = opening.wait_ended
        self.aclose = opening.aclose

    def watch(self, told: Callable[[UTDStreamException | None], None]) -> None:
        """See `Losable.watch`."""
        self._opening.on_lost = told
        if self._opening.failure is not None:
            told(self._opening.failure)
