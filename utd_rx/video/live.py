"""Pictures of a device that takes them by itself, a camera or a screen, watched and brought back.

A thread reads the device, whose calls block, and hands each picture on; the supervisor's thread
only watches that it does, and opens it again when it is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Thread
from typing import Any, Final, TypeAlias

from utd_rx.devices.supervisor import Named, Supervisor
from utd_rx.errors import UTDStreamException
from utd_rx.models.faults import Faults
from utd_rx.models.video import MAX_SIDE, VideoFrame, VideoSink
from utd_rx.ports.one_loop import this_loop
from utd_rx.ports.threads import begin
from utd_rx.video.library import fitting, to_pixels

logger: Final = logging.getLogger("utd_rx.video")

SILENCE: Final = 3.0
"""Seconds without a picture after which a device is dead; in the dark one takes 1 s."""

GRACE: Final = 8.0
"""The same before the first picture: a camera may need some seconds to focus and to expose."""

CLOSE_TIMEOUT: Final = 2.0
"""Seconds to wait for the picture that is being taken; a driver that hangs is left alone."""

EMPTY_PAUSE: Final = 0.005
"""Seconds until a device that cannot wait for its next picture is asked again."""

Opener: TypeAlias = Callable[[Any], tuple[Named, Any]]
"""From what was chosen to the device that is meant, and its open container of PyAV's; any thread.
Raises why there is none."""


class PictureConnection:
    """A `supervisor.OpenDevice`: a container that is read until it ends or is closed."""

    is_displaced = False

    def __init__(
        self,
        device: Named,
        container: Any,
        largest: tuple[int, int],
        sink: VideoSink,
        wake: Callable[[], None],
    ) -> None:
        self.device = device
        self.beats = 0
        self.is_active = True
        self._container = container
        self._largest = largest
        self._sink = sink
        self._wake = wake
        self._is_closing = False
        self._faults = Faults(logger, f"{device.name}: a picture that cannot be read")
        self._thread = Thread(target=self._run, name=f"utd_rx.video {device.name}", daemon=True)
        try:
            begin(self._thread)
        except UTDStreamException:
            container.close()
            raise

    def close(self) -> None:
        """Read no more. Idempotent."""
        self._is_closing = True
        self._thread.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        try:
            with self._container:
                self._read()
        except Exception as error:  # noqa: BLE001 - logged; that it ended is for the supervisor
            logger.warning("%s: %s", self.device.name, error)
        finally:
            self.is_active = False
            self._wake()

    def _packets(self) -> Iterator[Any]:
        while not self._is_closing:
            try:
                yield from self._container.demux(video=0)
            except BlockingIOError:  # of macOS: there is no picture yet
                time.sleep(EMPTY_PAUSE)
            else:
                return

    def _read(self) -> None:
        for packet in self._packets():
            try:
                decoded = packet.decode()
            except ValueError:  # a JPEG that was torn on its way
                self._faults.note()
                continue
            for picture in decoded:
                size = fitting(picture.width, picture.height, self._largest)
                pixels = to_pixels(picture, size)
                if self._is_closing:
                    return
                self._sink(VideoFrame(pixels, time.monotonic()))
                self.beats += 1


class PictureSide:
    """A `supervisor.Side`; there is nothing to do for a device that runs."""

    silence = SILENCE
    grace = GRACE
    at_once = 0.0

    def __init__(
        self, opener: Opener, sink: VideoSink, blame: str, largest: tuple[int, int]
    ) -> None:
        self.blame = blame
        self._opener = opener
        self._sink = sink
        self._largest = largest

    def connect(self, choice: Any, wake: Callable[[], None]) -> PictureConnection:
        """Open the device."""
        device, container = self._opener(choice)
        return PictureConnection(device, container, self._largest, self._sink, wake)

    def adopt(self, connection: PictureConnection | None) -> None:
        """It delivers by itself."""

    def work(self) -> None:
        """It delivers by itself."""

    def look_out(self, choice: Any) -> SameAgain:
        """Return what waits for a device that is away."""
        return SameAgain(choice)


class SameAgain:
    """A `supervisor.Search`: whoever opens what was chosen finds out whether it is there."""

    def __init__(self, choice: Any) -> None:
        self._choice = choice

    def find(self, now: float) -> Any:
        """Return what to open."""
        return self._choice


class LivePictures:
    """An open device: a `VideoInputStream` that says when it is lost, and when it is back.

    The sink is called on a thread of the device. `device` is the one that is open now, None while
    it is lost; `lost` counts how often it was.
    """

    def __init__(
        self,
        choice: Any,
        opener: Opener,
        sink: VideoSink,
        *,
        name: str,
        blame: str,
        largest: tuple[int, int] = (MAX_SIDE, MAX_SIDE),
    ) -> None:
        self.device: Named | None = None
        self._loop = this_loop("source of pictures")
        self._ended = self._loop.create_future()
        self._failure: UTDStreamException | None = None
        self._told: Callable[[UTDStreamException | None], None] = lambda failure: None
        side = PictureSide(opener, sink, blame, largest)
        self._supervisor = Supervisor(side, choice, self._report, name)

    @property
    def lost(self) -> int:
        return self._supervisor.lost

    async def start(self) -> None:
        """Open the device, or raise why it cannot be. Cancelling is safe: nothing is open then."""
        await self._supervisor.start()

    def watch(self, told: Callable[[UTDStreamException | None], None]) -> None:
        """See `Losable.watch`."""
        self._told = told
        if self._failure is not None:
            told(self._failure)

    async def wait_ended(self) -> None:
        """Wait until it is closed: a device that is lost is waited for. Cancelling is safe."""
        await asyncio.shield(self._ended)

    async def aclose(self) -> None:
        """Close the device; after it returns the sink is called no more. Idempotent."""
        try:
            await self._supervisor.aclose()
        finally:
            if not self._ended.done():
                self._ended.set_result(None)

    def _report(self, device: Any, failure: UTDStreamException | None) -> None:
        with suppress(RuntimeError):  # the loop is closed, nobody looks any more
            self._loop.call_soon_threadsafe(self._tell, device, failure)

    def _tell(self, device: Named | None, failure: UTDStreamException | None) -> None:
        self.device = device
        if failure is not self._failure and not self._ended.done():
            self._failure = failure
            self._told(failure)
