"""Keeps one device running: opens it, works for it, swaps it, notices its death, brings it back.

A thread of its own sees to all of that, so no call into a driver ever blocks the event loop, and
frames flow while the loop is stalled. Only what is swapped is opened and closed on another thread:
meanwhile this one works for the device that runs.

The work itself is done at once where the device delivers, if its side wants that: a real-time
callback holds the GIL already, and each wake-up of another thread costs two more turns at it, a
fifth of what a microphone costs. Work that takes long, or that another thread is at, is left to the
thread here, so that a callback is late twice at most.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, Protocol

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.ports.threads import begin, in_thread

logger: Final = logging.getLogger("utd_rx.devices")

# In seconds, but for STUMBLES.
POLL: Final = 0.1  # longest sleep of the thread
RETRY: Final = 0.25  # between attempts to bring a device back, of the 2 s that it may take
STUMBLES: Final = 3  # turns that raise which are a failure: one by itself costs a frame at most
WELL: Final = 1.0  # after which the next turn that raises is the first one again
STEP: Final = POLL  # longest one of silence that is counted
AGAIN: Final = 1.0  # within which a callback's work took long twice
RELIEF: Final = 30.0  # for which it does none then


class Watchdog:
    """Tells a dead stream from a busy interpreter, by a counter of what it delivered.

    It is dead after `silence` seconds without any, or `grace` before the first.

    A stream that the sound server killed goes silent without an error (docs/audio.md, "Cards and
    sound servers"), but callbacks also pause while a Python thread holds the GIL, and then the
    watching thread does, too. So what counts is not the time since the last callback but how much
    of it was *seen* to pass, in steps no longer than `STEP`.
    """

    def __init__(self, now: float, silence: float, grace: float) -> None:
        self._silence, self._grace = silence, grace
        self._looked_at = now
        self._beats = 0
        self._silent = 0.0

    def is_dead(self, beats: int, now: float) -> bool:
        """Take the counter's value and say whether the stream is dead."""
        passed, self._looked_at = min(STEP, now - self._looked_at), now
        if beats != self._beats:
            self._beats, self._silent = beats, 0.0
            return False
        self._silent += passed
        return self._silent > (self._silence if beats else self._grace)


class Named(Protocol):
    """A device as a value."""

    @property
    def name(self) -> str: ...


class Search(Protocol):
    """Waits for one lost device."""

    def find(self, now: float) -> Any:
        """Return what to open, `NOT_FOUND` while it is not there; again when that has failed."""


class OpenDevice(Protocol):
    """An open device; `beats` counts what it delivered."""

    @property
    def device(self) -> Named: ...
    @property
    def beats(self) -> int: ...
    @property
    def is_active(self) -> bool: ...
    @property
    def is_displaced(self) -> bool:
        """It ended because its driver was restarted, and may be opened anew."""

    def close(self) -> None: ...


class Side(Protocol):
    """What is particular to a kind of device; one thread at a time, the supervisor's but for
    `connect`, and for `work` where that is done at once.

    Attributes:
        silence: Seconds without a beat after which a stream is dead.
        grace: The same before its first one.
        blame: What else than unplugging ends a device of it, for people.
        at_once: How long its work may take where the device delivers; 0 where it does none there.
    """

    silence: float
    grace: float
    blame: str
    at_once: float

    def look_out(self, choice: Any) -> Search:
        """Return what waits for what was chosen, and is away."""

    def connect(self, choice: Any, wake: Callable[[], None]) -> OpenDevice:
        """Open and start the device, on any thread; `wake`, which has the work done, may be called
        by its callback."""

    def adopt(self, connection: Any) -> None:
        """Work with this connection from now on, None for none; if it raises, the one before."""

    def work(self) -> None:
        """Do what has become due; called when the device or an order has woken somebody."""


Report = Callable[[Any, UTDStreamException | None], None]
"""`(device, failure)`, the device None where there is a failure; on the supervisor's thread."""


class Supervisor:
    """Runs one side on one device after another; `lost` counts how often one died. One that
    `is_awaited` is waited for where it does not open at first, as one that was lost."""

    def __init__(
        self, side: Side, choice: Any, report: Report, name: str, *, is_awaited: bool = False
    ) -> None:
        self._side = side
        self._choice = choice
        self._report = report
        self._is_awaited = is_awaited
        self.lost = 0
        self._connection: OpenDevice | None = None
        self._search: Search | None = None
        self._stumbles = 0
        self._well_at = 0.0
        self._retry_at = 0.0
        self._watchdog = Watchdog(0.0, side.silence, side.grace)
        self._commands: deque[Callable[[], None]] = deque()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._work = threading.Lock()  # held by who works, and while another device is adopted
        self._long_at = -AGAIN
        self._relieved_until = 0.0
        self._failed: Exception | None = None
        self._closing = False
        self._turns = asyncio.Lock()
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def wake(self) -> None:
        """Let the thread look for work soon; any thread, never waits: a callback may call it."""
        # A lock used as a bell: released by whoever rings, taken by the one who listens.
        with suppress(RuntimeError):
            self._bell.release()

    def work(self) -> None:
        """Work here and now, or else wake the thread that does; any thread, waits for nobody's."""
        began = time.monotonic()
        if began < self._relieved_until or not self._work.acquire(blocking=False):
            self.wake()
            return
        try:
            if self._connection is not None:
                self._side.work()
        except Exception as error:  # noqa: BLE001 - raised anew where it is told
            self._failed = error
            self.wake()
        finally:
            self._work.release()
        ended = time.monotonic()
        if ended - began > self._side.at_once:
            if ended - self._long_at < AGAIN:
                self._relieved_until = ended + RELIEF
            self._long_at = ended

    async def start(self) -> None:
        """Open the device and run, or raise what `connect` raised unless it is awaited, `CONFLICT`
        if closed meanwhile.

        Cancelling is safe: the device is closed again.
        """
        async with self._turns:
            self._check_open()
            self._opened.set_running_or_notify_cancel()  # so that nobody who waits can cancel it
            begin(self._thread)
            try:
                await asyncio.wrap_future(self._opened)
            except BaseException:
                self._closing = True
                self.wake()
                raise

    async def use(self, choice: Any) -> None:
        """Go on with another device, or raise what `connect` raised; the old one runs until then.

        Of several calls the last one wins. Cancelling is safe: the swap goes on.
        """

        async def swap() -> None:
            async with self._turns:
                self._check_open()
                await in_thread(self._swap, choice)

        await asyncio.shield(asyncio.create_task(swap(), name=f"{self._thread.name}: swap"))

    async def aclose(self) -> None:
        """Close the device and end the thread. Idempotent; cancelled, it ends all the same."""
        self._closing = True
        self.wake()
        async with self._turns:  # what is being opened is closed again
            if self._thread.ident is not None:
                await asyncio.shield(in_thread(self._thread.join))

    def _run(self) -> None:
        try:
            self._begin()
            self._check_open()
        except BaseException as error:  # noqa: BLE001 - whoever starts it raises it
            self._closing = True
            self._shut()
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        try:
            while not self._closing:
                is_woken = self._bell.acquire(timeout=POLL)
                self._answer()
                now = time.monotonic()
                try:
                    self._turn(now, is_woken)
                except Exception as error:  # noqa: BLE001 - logged: it must outlive a driver's whim
                    self._stumbled(error, now)
                else:
                    if self._stumbles and now >= self._well_at:
                        self._recovered()
        finally:
            self._shut()
            self._answer()  # a swap that came too late

    def _begin(self) -> None:
        """Open the device, or wait for it where it may be away."""
        try:
            connection = self._connect(self._choice)
        except UTDStreamException as error:
            if not self._is_awaited:
                raise
            logger.warning("%s: %s; waiting for it", self._thread.name, error.message)
            self._search = self._side.look_out(self._choice)
            self._report(None, error)
        else:
            self._take(connection)

    def _answer(self) -> None:
        with suppress(IndexError):
            while True:
                self._commands.popleft()()

    def _turn(self, now: float, is_woken: bool) -> None:
        connection = self._connection
        if connection is None:
            if self._search is not None and now >= self._retry_at:
                self._retry(self._search, now)
        elif not connection.is_active or (
            self._watchdog.is_dead(connection.beats, now) and not self._work.locked()
        ):  # a sink may hold up the callback
            if connection.is_displaced:
                self._reopen(connection)
            else:
                self._bury(connection)
        elif (failed := self._failed) is not None:
            self._failed = None
            raise failed
        elif is_woken:
            with self._work:
                self._side.work()

    def _stumbled(self, error: Exception, now: float) -> None:
        """Make one line of log and one failure of it, however often a turn fails."""
        self._stumbles += 1
        self._well_at = now + WELL
        if self._stumbles == 1:
            logger.error("%s: a turn failed", self._thread.name, exc_info=error)
        elif self._stumbles == STUMBLES:
            self._report(
                None, UTDStreamException(f"{self._thread.name} fails again and again: {error!r}")
            )

    def _recovered(self) -> None:
        stumbles, self._stumbles = self._stumbles, 0
        if stumbles >= STUMBLES and self._connection is not None:
            logger.info("%s: goes on after %d turns that failed", self._thread.name, stumbles)
            self._report(self._connection.device, None)

    def _check_open(self) -> None:
        if self._closing:
            raise conflict(ConflictReason.CLOSED, "the device is closed")

    def _connect(self, choice: Any) -> OpenDevice:
        try:
            wake = self.work if self._side.at_once else self.wake
            return self._side.connect(choice, wake)
        except UTDStreamException:
            raise
        except Exception as error:  # a driver's wrapper may raise anything
            raise UTDStreamException(f"the device failed to open: {error!r}") from error

    def _take(self, connection: OpenDevice) -> OpenDevice | None:
        """Go on with this one; return the one before, which is the caller's to close."""
        try:
            with self._work:
                self._side.adopt(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, old = connection, self._connection
        self._watchdog = Watchdog(time.monotonic(), self._side.silence, self._side.grace)
        self._stumbles, self._failed = 0, None
        self._report(connection.device, None)
        return old

    def _swap(self, choice: Any) -> None:
        """Open and close on the caller's thread; only the change of hands is on the other one."""
        connection = self._connect(choice)
        taken: Future[OpenDevice | None] = Future()

        def take() -> None:
            try:
                if self._closing:
                    connection.close()
                self._check_open()
                old = self._take(connection)
            except BaseException as error:  # noqa: BLE001 - whoever swaps raises it
                taken.set_exception(error)
            else:
                self._choice = choice
                taken.set_result(old)

        self._commands.append(take)
        self.wake()
        if self._closing:  # the thread may have looked for the last time
            self._answer()
        old = taken.result()
        if old is not None:
            old.close()

    def _reopen(self, connection: OpenDevice) -> None:
        self._shut()
        try:
            self._take(self._connect(self._choice))
        except UTDStreamException:
            self._bury(connection)

    def _bury(self, connection: OpenDevice) -> None:
        self.lost += 1
        device = connection.device
        logger.warning(
            "%s: %s has died; waiting for it to come back", self._thread.name, device.name
        )
        self._shut()
        self._search = self._side.look_out(self._choice)
        self._retry_at = 0.0
        self._report(
            None,
            UTDStreamException(
                f"{device.name} stopped: unplugged, or {self._side.blame}; "
                "it goes on when it is back",
                code=UTDErrorCode.NOT_FOUND,
            ),
        )

    def _retry(self, search: Search, now: float) -> None:
        self._retry_at = now + RETRY
        try:
            self._take(self._connect(search.find(now)))
        except UTDStreamException as error:
            logger.debug("%s: not back yet: %s", self._thread.name, error)
        else:
            logger.info("%s: back", self._thread.name)

    def _shut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with self._work:
                self._side.adopt(None)
            with suppress(Exception):  # of a driver that closes what is gone
                connection.close()
