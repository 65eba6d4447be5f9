"""`VirtualLoop`: an asyncio event loop whose time passes when there is nothing left to do.

Theory of operation: asyncio asks a selector to wait until the next timer is due. The selector of
this loop moves the loop's clock there instead of waiting. It waits for real, and time stands, while
the loop's executor works, and whenever a file descriptor has something to read, that comes first.
So a minute takes a millisecond, and everything due happens in order.

What threads of one's own do, and subprocesses, time does not wait for: a time-out around them is
over at once. And what waits in the executor for this loop's time waits for ever, since it stands.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from contextvars import Context
from heapq import heappop, heappush
from math import inf, nextafter
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PATIENCE: Final = 1.0
"""Real seconds in which another thread may still call, where nothing else could ever happen."""


MAX_TURNS: Final = 200_000
"""Of the loop without a rest: ten thousand commands, or a second of going round in circles."""

ROUNDING: Final = 1e-9
"""Virtual seconds by which a sum of floats may miss a moment; asyncio's resolution, too."""


class StandstillError(RuntimeError):
    """Time cannot pass: what is waited for cannot happen any more, or something never rests."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at 0 s.

    Everything of asyncio works on it; `time()` and whatever counts from it is virtual. For tests:
    sockets are served, but what they cost of real time costs no virtual one.
    """

    def __init__(self) -> None:
        self._virtual_now = 0.0
        self._due: list[float] = []
        self._threads_at_work = 0
        self._wanting_rest: list[asyncio.Future[None]] = []
        super().__init__(_VirtualSelector(self))

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._virtual_now

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        # Kept, to land on it: a sum of floats would miss it by a little.
        heappush(self._due, when)
        return super().call_at(when, callback, *args, context=context)

    async def settled(self) -> None:
        """Return when nothing is left to do at this instant: what comes next needs time to pass.

        Cancelling is safe.
        """
        rest = self.create_future()
        self._wanting_rest.append(rest)
        await rest

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """As asyncio's; time stands until it is done."""
        done = super().run_in_executor(executor, func, *args)
        self._threads_at_work += 1
        done.add_done_callback(self._thread_is_done)
        return done

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """As asyncio's, without a time-out: time stands meanwhile."""
        self._threads_at_work += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._threads_at_work -= 1

    def _thread_is_done(self, _: object) -> None:
        self._threads_at_work -= 1

    def _rest_or_move(self, wait: float | None) -> bool:
        """Nothing is left to do now: tell whoever wants to know, or let `wait` seconds pass.

        Returns whether either could be done without waiting for real.
        """
        if self._threads_at_work:
            return False
        resting, self._wanting_rest = self._wanting_rest, []
        for rest in resting:
            if not rest.done():
                rest.set_result(None)
        if not resting and wait is not None:
            self._virtual_now = self._landing(self._virtual_now + wait)
        return bool(resting) or wait is not None

    def _landing(self, about: float) -> float:
        """Return when exactly it is that something is due at `about`."""
        landing = about
        # What is before was cancelled, and of what is at about the same time the last counts: all
        # of it is called together, and nobody shall be early.
        while self._due and self._due[0] <= about + ROUNDING:
            due = heappop(self._due)
            landing = due if due >= about - ROUNDING else landing
        return max(landing, nextafter(self._virtual_now, inf))


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as `asyncio.run` does, on virtual time.

    Raises:
        StandstillError: It waits for what cannot happen any more.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class _VirtualSelector(selectors.BaseSelector):
    """The system's selector, which never waits for a timer."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if not ready and timeout is not None and timeout <= 0:
            self._count()
            return ready
        self._turns = 0
        if ready or self._loop._rest_or_move(timeout):
            return ready
        if self._loop._threads_at_work:
            return self._real.select()
        if not (ready := self._real.select(PATIENCE)):
            raise StandstillError(
                "time stands still: no timer is set, nobody is at work, and what is waited for "
                "cannot happen any more; await it before what makes it happen has ended, or give "
                "it a time-out"
            )
        return ready

    def _count(self) -> None:
        """Count a turn of the loop that had work to go on with."""
        self._turns += 1
        if self._turns >= MAX_TURNS:
            self._turns = 0
            raise StandstillError(
                f"something goes round and round at {self._loop.time():g} s, so that time never "
                "passes: let it wait for what it needs, or sleep"
            )

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()
