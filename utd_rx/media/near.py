"""The app's end: `Near` stands for a port that lives in the media process.

Coroutine methods wait for their result; what listens returns at once, and its function stays here
under a number. Which is which, the far port's class says; so what a port learns, this knows.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import os
import socket
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from attrs import define

from utd_rx.errors import ConflictReason, UTDStreamException, conflict
from utd_rx.media import forked
from utd_rx.media.held_back import HeldBack
from utd_rx.media.lending import Lending
from utd_rx.media.loop_reader import LoopReader, RingTaker
from utd_rx.media.pipe import Handler, Pipe
from utd_rx.media.ring import RingShape
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
    RingMade,
    SinkNumber,
    StopAsk,
    pickled_value,
    unpickled,
)
from utd_rx.state.reports import report, running_loop

SETTLE: Final = 1.0
"""Seconds a cancelled call waits for what became of it on the other side; what it did is taken back
also later."""

N = TypeVar("N", bound="Near")


TakeBack: TypeAlias = Callable[[Any, Any], tuple[str, tuple[Any, ...]] | None]
"""Tells of a call's arguments and result which other call takes it back; None: nothing is left of
it."""


@define
class _Sink:
    """A function that stays here, and the loop on which it is called."""

    take: Callable[[Any], object]
    loop: asyncio.AbstractEventLoop | None
    port: int


class NearEnd:
    """What all ports of one media process have in common here: the pipe, calls, sinks.

    It belongs to the loop of the first call; others may call, too.

    Args:
        end: Its end of the socket.
        broken: Is called once when the other end is gone; whoever made this then says `fail`.
        attached: Is called when the pipe is read on a loop.
    """

    def __init__(
        self,
        end: socket.socket,
        broken: Callable[[UTDStreamException | None], None],
        attached: Callable[[], None] = lambda: None,
    ) -> None:
        self.pipe: Final = Pipe(end, self._arrived, broken)
        self.sinks: Final[dict[int, _Sink]] = {}
        self.handlers: Final[dict[type, Handler]] = {}
        """Of messages that are neither a result nor for a sink."""
        self._lending = Lending(self.pipe, self.handlers)
        self._unread = 0  # for sinks that are forgotten
        self.messages = 0
        """That have come, for whoever watches whether any do."""
        self.has_answered = False
        """Any call, whatever it said."""
        self.endings = 0
        """Calls under way that end something, and are to be answered soon."""
        self._attached = attached
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._held: dict[int, HeldBack] = {}
        self._failure: Callable[[], UTDStreamException] | None = None
        forked.mind(self)

    def make(
        self,
        near: Callable[[NearEnd, int, type], N],
        shape: type,
        factory: str,
        *args: Any,
        **kwargs: Any,
    ) -> N:
        """Let the far side make a port, and return what stands for it; never waits."""
        number = next(self._numbers)
        words = pickled_value((args, kwargs), f"what {factory} is called with")
        self.pipe.post(MakePort(number, factory, words))
        port = near(self, number, shape)
        weakref.finalize(port, self.pipe.post, DropPort(number)).atexit = False
        return port

    @property
    def unread(self) -> int:
        """Slots of sound, either way, that came faster than they were read."""
        here = sum(_unread_of(sink) for sink in tuple(self.sinks.values()))
        return self._unread + here + self._lending.unread

    async def call(
        self,
        port: int,
        method: str,
        args: Any,
        kwargs: Any,
        undo: TakeBack | None = None,
        *,
        says_begun: bool = False,
    ) -> Any:
        """Call a method and wait. Cancelling is safe: what was done meanwhile is taken back."""
        self._check()
        self._attach()
        number, words, _ = self._packed(port, method, args, kwargs)
        pending = asyncio.get_running_loop().create_future()
        self._pending[number] = pending
        self.pipe.post(Ask(number, port, method, words, says_begun=says_begun))
        try:
            return await asyncio.shield(pending)
        except asyncio.CancelledError:
            if self._failure is None:
                self.pipe.post(CancelAsk(number))
                await self._settle(port, args, pending, undo)
            raise

    async def call_afresh(
        self, port: int, method: str, args: Any, kwargs: Any, undo: TakeBack | None = None
    ) -> Any:
        """As `call`; when it succeeds, nothing that the port told before it began is told any more
        from now on, as it is on its way."""
        if port in self._held:
            return await self.call(port, method, args, kwargs, undo)
        held = self._held[port] = HeldBack()
        is_afresh = False
        try:
            result = await self.call(port, method, args, kwargs, undo, says_begun=True)
            is_afresh = True
            return result
        finally:
            del self._held[port]
            for told in held.taken(is_afresh=is_afresh):
                self._deliver(told)

    async def _settle(
        self, port: int, args: Any, pending: asyncio.Future[Any], undo: TakeBack | None
    ) -> None:
        """Take back what a cancelled call did before the other side heard of that, whenever that is
        known; wait for it, but not for long."""

        async def settle() -> None:
            await asyncio.wait({pending})
            if undo is None or pending.exception() is not None:
                return
            if (back := undo(args, pending.result())) is not None:
                with suppress(UTDStreamException):
                    await self.call(port, *back, {})

        task = asyncio.create_task(settle(), name="utd_rx near: a call that was cancelled")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        await asyncio.wait({task}, timeout=SETTLE)

    def tell(
        self, port: int, method: str, args: Any, kwargs: Any, *, is_heard_out: bool = False
    ) -> Callable[[], None]:
        """Call a method that nobody waits for, on any thread; returns what stops its sinks, at
        once or when the far side has let go of them."""
        if running_loop() is not None:
            self._attach()
        number, words, sinks = self._packed(port, method, args, kwargs)
        self.pipe.post(Ask(number, port, method, words, wants_result=False))
        stopping = iter([StopAsk(number)])

        def stop() -> None:
            for message in stopping:  # once
                for sink in () if is_heard_out else sinks:
                    self._forget(sink)
                self.pipe.post(message)

        return stop

    def release(self, port: int) -> None:
        """Let go of everything that stayed here for a port."""
        for number in [n for n, sink in tuple(self.sinks.items()) if sink.port == port]:
            self._forget(number)

    def fail(self, failure: Callable[[], UTDStreamException]) -> None:
        """End it: what is under way fails, and what is called from now on; on its loop."""
        self._failure = failure
        self.pipe.close()
        pending, self._pending = self._pending, {}
        for future in pending.values():
            self._settle_on_its_loop(future, failure(), True)
        self._lending.close()
        for number in tuple(self.sinks):
            self._forget(number)

    def forked(self) -> None:
        """Let go of everything in a process that was forked off."""
        self._failure = forked.failure
        self.pipe.abandon()
        self._pending.clear()
        self.sinks.clear()

    def _attach(self) -> None:
        if self.pipe.attach():
            self._attached()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure()

    def _packed(
        self, port: int, method: str, args: Any, kwargs: Any
    ) -> tuple[int, bytes, tuple[int, ...]]:
        """Return number, words and sinks of a call; what can be called stays here."""
        loop, kept = running_loop(), dict[int, _Sink]()

        def lend(value: Any) -> Any:
            if not is_sink(value):
                return self._lending.lend(value)
            number = next(self._numbers)
            kept[number] = _Sink(value, loop, port)
            return SinkNumber(number, value.takes if isinstance(value, RingTaker) else "")

        far = tuple(map(lend, args)), {name: lend(value) for name, value in kwargs.items()}
        words = pickled_value(far, f"what {method}() is called with")
        if kept:
            self._check()  # an order to who is dead is nothing, and nobody waits to be told
        self.sinks.update(kept)
        return next(self._numbers), words, tuple(kept)

    def _forget(self, number: int) -> None:
        """Call a sink no more, once frames that are there already are delivered."""
        sink = self.sinks.pop(number, None)
        if sink is not None and isinstance(sink.take, RingTaker):
            sink.take.finish()
            self._unread += _unread_of(sink)

    # -- what comes -------------------------------------------------------------------------------

    def _arrived(self, message: Message, descriptors: tuple[int, ...]) -> None:
        self.messages += 1
        match message:
            case Delivery():
                self._deliver(message)
            case Result(number, words, is_error):
                self.has_answered = True
                if (pending := self._pending.pop(number, None)) is not None:
                    self._settle_on_its_loop(pending, *unpickled(words, is_error=is_error))
            case AskBegun(port):
                if (held := self._held.get(port)) is not None:
                    held.has_begun = True
            case ForgetSink(number):
                self._forget(number)
            case RingMade(number, shape):
                self._attach_ring(number, shape, *descriptors)
            case _:
                self.handlers[type(message)](message, descriptors)

    def _deliver(self, told: Delivery) -> None:
        number, batch = told.sink, told.batch
        if (sink := self.sinks.get(number)) is None:
            return
        if (held := self._held.get(sink.port)) is not None:
            held.append(told)
            return

        def take() -> None:
            if self.sinks.get(number) is sink:  # not stopped meanwhile
                try:
                    sink.take(batch)
                except BaseException as error:  # noqa: BLE001 - reported, or an interrupt
                    report(error, "a sink of a media process")

        self._on(sink.loop, take)

    def _attach_ring(self, number: int, shape: RingShape, memory: int, bell: int) -> None:
        """Let frames for a sink be read; of one that is forgotten nobody reads them."""
        sink = self.sinks.get(number)
        if sink is not None and isinstance(sink.take, RingTaker):
            sink.take.attach(shape, memory, bell)
        else:
            os.close(memory)
            os.close(bell)

    def _settle_on_its_loop(
        self, pending: asyncio.Future[Any], result: Any, is_error: bool
    ) -> None:
        def settle() -> None:
            if not pending.done():
                if is_error:
                    pending.set_exception(result)
                    pending.exception()  # whoever waited may have gone
                else:
                    pending.set_result(result)

        self._on(pending.get_loop(), settle)

    def _on(self, loop: asyncio.AbstractEventLoop | None, work: Callable[[], None]) -> None:
        if loop is None or loop is running_loop():
            work()
        else:
            with suppress(RuntimeError):  # it is closed, nobody waits any more
                loop.call_soon_threadsafe(work)


def _unread_of(sink: _Sink) -> int:
    return sink.take.lost if isinstance(sink.take, LoopReader) else 0


def is_sink(value: object) -> bool:
    """Whether an argument is a function to be called with what comes, and no value."""
    return callable(value) and not isinstance(value, type)


class Near:
    """Stands for a port that is far away; `shape` is a class that has its methods."""

    undo: ClassVar[Mapping[str, TakeBack]] = {}
    """What takes a call back that was cancelled when it was done."""

    heard_out: ClassVar[frozenset[str]] = frozenset()
    """Methods whose sinks hear the rest of what had begun when they were stopped."""

    ends: ClassVar[frozenset[str]] = frozenset()
    """Methods that leave or close: beside a process that stands still nobody waits for them."""

    def __init__(self, end: NearEnd, number: int, shape: type) -> None:
        self._end = end
        self._number = number
        self._shape = shape

    def __repr__(self) -> str:
        return f"<{self._shape.__name__} in a media process>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        method = getattr(self._shape, name)
        if not inspect.iscoroutinefunction(method):
            return lambda *args, **kwargs: self._tell(name, *args, **kwargs)

        async def command(*args: Any, **kwargs: Any) -> Any:
            return await self._call(name, *args, **kwargs)

        return command

    async def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        is_ending = method in self.ends
        self._end.endings += is_ending
        try:
            return await self._end.call(self._number, method, args, kwargs, self.undo.get(method))
        finally:
            self._end.endings -= is_ending

    def _tell(self, method: str, *args: Any, **kwargs: Any) -> Callable[[], None]:
        is_heard_out = method in self.heard_out
        return self._end.tell(self._number, method, args, kwargs, is_heard_out=is_heard_out)


def closed(what: str) -> UTDStreamException:
    """Return what is raised when something closed for good is used."""
    return conflict(ConflictReason.CLOSED, f"the {what} is closed for good: make another one")
