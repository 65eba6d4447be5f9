"""The child's end: `FarEnd` makes ports and calls them, on its loop, as it is asked."""

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
import socket
import weakref
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, Final, TypeAlias

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict, invalid
from utd_rx.media.borrowing import Borrowing
from utd_rx.media.frames import FrameReader, FrameWriter
from utd_rx.media.lending import announce_ring
from utd_rx.media.levels import LevelReader, LevelWriter, MarkedState
from utd_rx.media.loop_reader import Announce
from utd_rx.media.pictures import PictureReader, PictureWriter
from utd_rx.media.pipe import Handler, Pipe
from utd_rx.media.ring_filling import RingFilling
from utd_rx.media.voice_progress import ProgressReader, ProgressWriter
from utd_rx.media.wire import (
    Ask,
    AskBegun,
    CancelAsk,
    Delivery,
    DropPort,
    ForgetSink,
    MakePort,
    Message,
    Result,
    SinkNumber,
    StopAsk,
    pickled_error,
    pickled_value,
    said,
)
from utd_rx.ports.audio import DeviceState
from utd_rx.ports.crossing import LevelSink

logger = logging.getLogger(__name__)

FarSink: TypeAlias = Callable[[Any], None]


class TellingSink:
    """What a port calls: sends each batch to the function that stayed in the app, and word when
    the port has let go of it."""

    def __init__(self, pipe: Pipe, number: int) -> None:
        self._pipe = pipe
        self._number = number
        weakref.finalize(self, pipe.post, ForgetSink(number)).atexit = False

    def __call__(self, batch: Any) -> None:
        self._pipe.post(Delivery(self._number, batch))


class RingSink:
    """The same for frames, which a `writer` lays into a ring."""

    def __init__(
        self, make: Callable[[Announce], FrameWriter | PictureWriter], pipe: Pipe, number: int
    ) -> None:
        writer = make(partial(announce_ring, pipe, number))
        self._write: Callable[[Any], None] = writer.write
        weakref.finalize(self, _let_go, writer, pipe, number).atexit = False

    def __call__(self, batch: Any) -> None:
        self._write(batch)


def _let_go(writer: RingFilling, pipe: Pipe, number: int) -> None:
    writer.close()
    pipe.post(ForgetSink(number))


class StatesSink(LevelSink):
    """The same for the states of a device, whose levels go through a ring."""

    def __init__(self, pipe: Pipe, number: int) -> None:
        self._pipe = pipe
        self._number = number
        self._levels = LevelWriter(partial(announce_ring, pipe, number))
        weakref.finalize(self, _let_go, self._levels, pipe, number).atexit = False

    def __call__(self, batch: Any) -> None:
        self._pipe.post(Delivery(self._number, tuple(map(self.marked, batch))))

    def marked(self, state: Any) -> MarkedState:
        """See `LevelSink`; what is marked stays as it is."""
        is_marked = isinstance(state, MarkedState)
        return state if is_marked else MarkedState(state, self._levels.count)

    def take_level(self, state: DeviceState) -> None:
        """See `LevelSink`."""
        self._levels.write(state)


class ProgressSink:
    """The same for how far a voice has come: a message only where nobody reads the ring."""

    def __init__(self, pipe: Pipe, number: int) -> None:
        self._pipe = pipe
        self._number = number
        self._writer = ProgressWriter(partial(announce_ring, pipe, number))
        weakref.finalize(self, _let_go, self._writer, pipe, number).atexit = False

    def __call__(self, told: Any) -> None:
        if not self._writer.write(told):
            self._pipe.post(Delivery(self._number, told))


class _Absent:
    """In the place of a port that could not be made: every call says why."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


class FarEnd:
    """Serves the ports of one app.

    Args:
        end: Its end of the socket.
        broken: Is called once when the app is gone, or with what nobody here can go on after.
        find: Finds a factory by its name.
    """

    make_sink: Final[dict[str, Callable[[Pipe, int], FarSink]]] = {
        "": TellingSink,
        FrameReader.takes: partial(RingSink, FrameWriter),
        PictureReader.takes: partial(RingSink, PictureWriter),
        LevelReader.takes: StatesSink,
        ProgressReader.takes: ProgressSink,
    }
    """What a method is given for a function, by what that takes."""

    def __init__(
        self,
        end: socket.socket,
        broken: Callable[[UTDStreamException | None], None],
        find: Callable[[str], Callable[..., Any]] | None = None,
    ) -> None:
        self.pipe: Final = Pipe(end, self._arrived, broken)
        self.handlers: Final[dict[type, Handler]] = {}
        """Of messages that are neither a call nor about ports."""
        self._borrowing = Borrowing(self.pipe, self.handlers)
        self._broken = broken
        self._find = find or found
        self._ports: dict[int, Any] = {}
        self._tasks: dict[int, asyncio.Task[bytes]] = {}
        self._stops: dict[int, Callable[[], object]] = {}

    @property
    def ports(self) -> tuple[Any, ...]:
        """All that there are."""
        return tuple(self._ports.values())

    async def aclose(self) -> None:
        """End what is under way, and listen no more; ports are their makers' to close."""
        for task in (tasks := tuple(self._tasks.values())):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self.pipe.close()
        while self._stops:
            self._stops.popitem()[1]()

    def _arrived(self, message: Message, descriptors: tuple[int, ...]) -> None:
        match message:
            case MakePort(port, factory, words):
                self._make(port, factory, words)
            case DropPort(port):
                self._ports.pop(port, None)
            case Ask(wants_result=True):
                work = self._carry_out(message)
                task = asyncio.create_task(work, name=f"utd_rx far: {message.method}")
                self._tasks[message.number] = task
                task.add_done_callback(partial(self._answer, message))
            case Ask():
                self._obey(message)
            case CancelAsk(number):
                if (known := self._tasks.get(number)) is not None:
                    # It may have come with its call, which has begun on the near side.
                    asyncio.get_running_loop().call_soon(known.cancel)
            case StopAsk(number):
                if (stop := self._stops.pop(number, None)) is not None:
                    stop()
            case _:
                self.handlers[type(message)](message, descriptors)

    def _make(self, port: int, factory: str, words: bytes) -> None:
        try:
            args, kwargs = pickle.loads(words)  # noqa: S301 - see wire
            self._ports[port] = self._find(factory)(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - told to whoever calls the port
            self._ports[port] = _Absent(error)

    async def _carry_out(self, ask: Ask) -> bytes:
        if ask.says_begun:
            self.pipe.post(AskBegun(ask.port))
        result = self._begin(ask)
        if inspect.isawaitable(result):
            result = await result
        return pickled_value(result, f"what {ask.method}() returned")

    def _answer(self, ask: Ask, task: asyncio.Task[bytes]) -> None:
        """Say what became of a call; of one that was cancelled before it began, too."""
        del self._tasks[ask.number]
        if task.cancelled():
            error: BaseException = conflict(ConflictReason.LEFT, f"{ask.method}() was cancelled")
        elif (failed := task.exception()) is not None:
            error = failed
        else:
            self.pipe.post(Result(ask.number, task.result()))
            return
        self.pipe.post(Result(ask.number, pickled_error(error), is_error=True))

    def _obey(self, ask: Ask) -> None:
        """Carry out a call nobody waits for; what it returns may stop what it began. Where it goes
        wrong all ends here: the app takes for done what is not."""
        try:
            result = self._begin(ask)
        except Exception as error:
            what = f"{ask.method}() failed, and nobody waits for it"
            logger.exception(what)
            if isinstance(error, UTDStreamException) or isinstance(
                self._ports.get(ask.port), _Absent
            ):
                return  # a refusal, or whoever waits for another call is told
            self.pipe.close()
            words = f"{what} ({said(error)})"
            self._broken(UTDStreamException(words, code=UTDErrorCode.UNKNOWN))
            return
        if callable(result):
            self._stops[ask.number] = result

    def _begin(self, ask: Ask) -> Any:
        port = self._ports.get(ask.port)
        try:
            args, kwargs = pickle.loads(ask.words)  # noqa: S301 - see wire
        except Exception as error:
            raise invalid(
                f"what {ask.method}() is called with cannot be made in the media process "
                f"({said(error)}): what it is of has to be in a module that can "
                "be imported, and no __main__"
            ) from error

        def borrow(value: Any) -> Any:
            if not isinstance(value, SinkNumber):
                return self._borrowing.borrow(value)
            return self.make_sink[value.takes](self.pipe, value.number)

        args = map(borrow, args)
        kwargs = {name: borrow(value) for name, value in kwargs.items()}
        return getattr(port, ask.method)(*args, **kwargs)


def found(name: str) -> Callable[..., Any]:
    """Return what `module:name` names."""
    module, _, attribute = name.partition(":")
    factory: Callable[..., Any] = getattr(import_module(module), attribute)
    return factory
