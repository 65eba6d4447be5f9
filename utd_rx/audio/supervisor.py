"""Keeps one device running: opens it, works for it, swaps it, notices its death, brings it back.

A thread of its own does all of that, so no call into PortAudio ever blocks the event loop, and
frames flow while the loop is stalled. The real-time callback only wakes it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from utd_rx.audio import switching
from utd_rx.audio.devices import AudioDevice, DeviceChoice
from utd_rx.audio.watchdog import Watchdog
from utd_rx.errors import UTDErrorCode, UTDStreamException

logger: Final = logging.getLogger("utd_rx.audio")

POLL: Final = 0.05
"""Longest sleep of the thread: half a step of the watchdog."""

RETRY: Final = 0.25
"""Seconds between attempts to bring a device back, of the 2 s that it may take."""


class Connection(Protocol):
    """An open device."""

    @property
    def device(self) -> AudioDevice: ...
    @property
    def beats(self) -> int:
        """Callbacks so far."""

    @property
    def is_active(self) -> bool: ...
    @property
    def is_displaced(self) -> bool:
        """It ended because PortAudio was restarted, and may be opened anew."""

    def close(self) -> None: ...


class Side(Protocol):
    """What is particular to hearing or playing; called on the supervisor's thread."""

    def connect(self, choice: DeviceChoice, wake: Callable[[], None]) -> Connection:
        """Open and start the device; `wake` may be called by its callback."""

    def adopt(self, connection: Connection | None) -> None:
        """Work with this connection from now on; None while there is none."""

    def work(self) -> None:
        """Do what has become due; called at least every `POLL` seconds while there is one."""


Report = Callable[[AudioDevice | None, UTDStreamException | None], None]
"""`(device, failure)`, on the supervisor's thread (the first time on `start`'s)."""


class Supervisor:
    """Runs one side on one device after another.

    Args:
        side: Hears or plays.
        choice: The device to begin with; None follows the system's default.
        report: Told whenever the device or the failure has changed.
        name: Of the thread.
    """

    def __init__(self, side: Side, choice: DeviceChoice, report: Report, name: str) -> None:
        self._side = side
        self._choice = choice
        self._report = report
        self._lost = 0
        self._connection: Connection | None = None
        self._retry_at = 0.0
        self._watchdog = Watchdog(0.0)
        self._commands: deque[Callable[[], None]] = deque()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def lost(self) -> int:
        """How often the device died."""
        return self._lost

    def wake(self) -> None:
        """Let the thread look for work soon; any thread, never waits: a callback may call it."""
        # A lock used as a bell: released by whoever rings, taken by the one who listens.
        with suppress(RuntimeError):
            self._bell.release()

    async def start(self) -> None:
        """Open the device and run.

        Cancelling is safe: the device is closed again.

        Raises:
            UTDStreamException: What `connect` raised.
        """
        opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            await asyncio.shield(opening)
        except BaseException:
            self._closing = True
            opening.add_done_callback(self._abandon)
            self._answer()
            raise
        switching.hold()
        self._thread.start()

    async def use(self, choice: DeviceChoice) -> None:
        """Go on with another device; sound flows from the old one until the new one runs.

        Cancelling is safe: the swap goes on.

        Raises:
            UTDStreamException: What `connect` raised; the old device goes on then.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def settle(error: UTDStreamException | None) -> None:
            if done.done():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def swap() -> None:
            error = self._swap(choice)
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(settle, error)

        if self._closing:
            raise UTDStreamException("the device is closed", code=UTDErrorCode.CONFLICT)
        self._commands.append(swap)
        self.wake()
        await done

    async def aclose(self) -> None:
        """Close the device and end the thread. Idempotent; cancelling is safe, it ends all the same."""
        self._closing = True
        self.wake()
        if self._thread.ident is not None:
            await asyncio.shield(asyncio.to_thread(self._thread.join))

    def _run(self) -> None:
        try:
            while not self._closing:
                self._bell.acquire(timeout=POLL)
                self._answer()
                try:
                    self._turn(time.monotonic())
                except Exception:  # the thread must outlive an app's sink and a driver's whim
                    logger.exception("%s: a turn failed", self._thread.name)
        finally:
            switching.release()
            self._shut()
            self._answer()  # a swap that came too late

    def _answer(self) -> None:
        while self._commands:
            self._commands.popleft()()

    def _turn(self, now: float) -> None:
        connection = self._connection
        if connection is None:
            if now >= self._retry_at:
                self._retry(now)
        elif not connection.is_active or self._watchdog.is_dead(connection.beats, now):
            if connection.is_displaced:
                self._reopen(connection)
            else:
                self._bury(connection)
        else:
            self._side.work()

    def _abandon(self, opening: asyncio.Future[None]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            self._shut()

    def _open(self) -> None:
        self._take(self._side.connect(self._choice, self.wake))

    def _take(self, connection: Connection) -> None:
        self._connection, old = connection, self._connection
        self._watchdog = Watchdog(time.monotonic())
        self._side.adopt(connection)
        if old is not None:
            old.close()
        self._report(connection.device, None)

    def _swap(self, choice: DeviceChoice) -> UTDStreamException | None:
        if self._closing:
            return UTDStreamException("the device is closed", code=UTDErrorCode.CONFLICT)
        try:
            connection = self._side.connect(choice, self.wake)
        except UTDStreamException as error:
            return error
        except Exception as error:
            # PortAudio's wrapper may raise anything, and whoever swaps must get an answer.
            logger.exception("%s: opening %r failed", self._thread.name, choice)
            return UTDStreamException(f"the device failed to open: {error!r}")
        self._choice = choice
        self._take(connection)
        return None

    def _reopen(self, connection: Connection) -> None:
        self._shut()
        try:
            self._open()
        except UTDStreamException:
            self._bury(connection)

    def _bury(self, connection: Connection) -> None:
        self._lost += 1
        name = connection.device.name
        logger.warning("%s: %s has died; waiting for it to come back", self._thread.name, name)
        with suppress(Exception):  # of a driver that closes what is gone; it is told all the same
            self._shut()
        self._report(
            None,
            UTDStreamException(
                f"{name} stopped: unplugged, or its sound server ended; it goes on when it is back",
                code=UTDErrorCode.NOT_FOUND,
            ),
        )
        self._retry_at = 0.0

    def _retry(self, now: float) -> None:
        from utd_rx.audio import portaudio

        self._retry_at = now + RETRY
        try:
            # A card that came back may be another one to PortAudio; and asking a list is quieter
            # than opening what is not there, for which ALSA writes to stderr.
            portaudio.refresh()
            self._open()
        except UTDStreamException as error:
            logger.debug("%s: not back yet: %s", self._thread.name, error)
        else:
            logger.info("%s: back", self._thread.name)

    def _shut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._side.adopt(None)
            connection.close()
