"""What tests of real devices hear over a virtual cable, and wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Protocol, TypeVar

import numpy as np
from reactivex import operators as ops

from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame, Samples

TIMEOUT = 20.0
"""Seconds for anything that comes at all; a promised time has a bound of its own."""


class Closable(Protocol):
    """What is closed in the end."""

    async def aclose(self) -> None:
        """Close it; idempotent."""


C = TypeVar("C", bound=Closable)


class Kept(AsyncExitStack):
    """Closes what a test opened however it ends: a failure must not be the next test's leak."""

    def __call__(self, opened: C) -> C:
        self.push_async_callback(opened.aclose)
        return opened


class Heard:
    """Frames that a test waits for."""

    def __init__(self) -> None:
        self.frames: list[AudioFrame] = []
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()

    def __call__(self, frame: AudioFrame) -> None:
        self.frames.append(frame)
        self._loop.call_soon_threadsafe(self._came.set)

    async def more(self, count: int) -> None:
        """Wait for `count` frames more."""
        await self.until(len(self.frames) + count)

    async def until(self, count: int) -> None:
        """Wait for the `count`-th frame."""
        await self._wait(lambda: len(self.frames) >= count)

    async def until_is(self, frame: AudioFrame) -> None:
        """Wait until this one is the last."""
        await self._wait(lambda: bool(self.frames) and self.frames[-1] is frame)

    async def _wait(self, is_there: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT):
            while not is_there():
                self._came.clear()
                await self._came.wait()

    async def loud(self) -> None:
        """Wait until something is heard from now on."""
        begin = len(self.frames)
        await self._wait(lambda: any(np.any(frame.samples) for frame in self.frames[begin:]))

    @property
    def sound(self) -> Samples:
        return np.concatenate([frame.samples for frame in self.frames])


class Timed:
    """What the state of a microphone or a speaker told, with the loop's time."""

    def __init__(self, side: Microphone | Speaker) -> None:
        self.failures: list[tuple[float, UTDErrorCode | None]] = []
        self._loop = asyncio.get_running_loop()
        side.failure.pipe(ops.skip(1)).subscribe(self._tell)
        self._side = side

    def _tell(self, failure: UTDStreamException | None) -> None:
        self.failures.append((self._loop.time(), None if failure is None else failure.code))

    async def noticed(self) -> float:
        """Return when a failure was told."""
        await self._until(1)
        return self.failures[0][0]

    async def back(self) -> float:
        """Return when it was over."""
        await self._until(2)
        assert [code for _, code in self.failures] == [UTDErrorCode.NOT_FOUND, None]
        return self.failures[1][0]

    async def _until(self, count: int) -> None:
        async with asyncio.timeout(TIMEOUT):
            while len(self.failures) < count:  # noqa: ASYNC110 - what was told before counts too
                await asyncio.sleep(0.01)
