"""The bare `livekit` client that benchmarks compare with: rooms, a mouth and an ear, no `utd_rx`.

Times are seconds of `time.perf_counter()`, one clock for everything in this process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import Final, TypeVar

import numpy as np
from livekit import rtc

T = TypeVar("T")

RATE: Final = 48_000
FRAME: Final = RATE // 100
AMPLITUDE: Final = 8_000
LOUD: Final = 1_000
"""A peak that the tone reaches in its first decoded frames and comfort noise never does."""

PATIENCE: Final = 30.0
"""Seconds to wait for anything that must happen."""

_PERIOD: Final = RATE // 400  # samples of the 400 Hz tone; a frame holds four whole periods
_WAVE: Final = AMPLITUDE * np.sin(2 * np.pi * np.arange(FRAME) / _PERIOD)
_TONE: Final = _WAVE.astype(np.int16).tobytes()
_SILENCE: Final = bytes(2 * FRAME)


async def soon(work: Awaitable[T]) -> T:
    """Return what `work` gives, within `PATIENCE`; never to be used on `Room.connect`."""
    return await asyncio.wait_for(work, PATIENCE)


class Member:
    """A participant: one fresh room (a room cannot be used twice), left with `stack`."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.connect_seconds = 0.0
        self.subscribed: asyncio.Queue[tuple[rtc.Track, float]] = asyncio.Queue()
        self.room.on("track_subscribed", self._on_subscribed)

    def _on_subscribed(self, track: rtc.Track, *_: object) -> None:
        self.subscribed.put_nowait((track, time.perf_counter()))

    @classmethod
    async def join(cls, stack: AsyncExitStack, url: str, token: str) -> Member:
        """Connect and time it."""
        member = cls()
        stack.push_async_callback(member.room.disconnect)
        begin = time.perf_counter()
        connecting = asyncio.ensure_future(member.room.connect(url, token))
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            # A connect that is cancelled ends the process 15 s later
            # (docs/livekit.md, "Ghost joins").
            await asyncio.wait([connecting])
            raise
        member.connect_seconds = time.perf_counter() - begin
        return member

    async def publish(self, source: rtc.AudioSource) -> None:
        """Publish `source` as the microphone."""
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await soon(self.room.local_participant.publish_track(track, options))


class Mouth:
    """One paced source of 10 ms frames, silent until told otherwise.

    Any number of tracks may carry it. With a queue of 0 a frame goes straight to the encoders and
    no frame means no packet, so what was sent can be counted exactly.
    """

    def __init__(self) -> None:
        self.source = rtc.AudioSource(RATE, 1, queue_size_ms=0)
        self._is_loud = False
        self._onset: asyncio.Future[float] | None = None
        self._task: asyncio.Task[None] | None = None

    def open(self, *, loud: bool = False) -> None:
        """Start to send frames."""
        self._is_loud = loud
        self._task = asyncio.create_task(self._run(), name="benchmark mouth")

    async def close(self) -> None:
        """Stop to send frames; may be opened again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def aclose(self) -> None:
        """End."""
        await self.close()
        await self.source.aclose()

    async def onset(self) -> float:
        """Begin the tone; return when its first frame was handed to LiveKit."""
        self._onset = asyncio.get_running_loop().create_future()
        self._is_loud = True
        return await soon(self._onset)

    def hush(self) -> None:
        """Go on with silence."""
        self._is_loud = False

    async def _run(self) -> None:
        begin, count = time.perf_counter(), 0
        while True:
            sound = _TONE if self._is_loud else _SILENCE
            if self._is_loud and self._onset is not None:
                self._onset.set_result(time.perf_counter())
                self._onset = None
            await self.source.capture_frame(rtc.AudioFrame(sound, RATE, 1, FRAME))
            count += 1
            await asyncio.sleep(max(0.0, begin + count / 100 - time.perf_counter()))


class Ear:
    """Listens to a track and knows since when it is loud or silent."""

    def __init__(self, track: rtc.Track) -> None:
        self._stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
        self._is_loud = False
        self._since = time.perf_counter()
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="benchmark ear")

    async def until(self, *, loud: bool) -> float:
        """Return when it became so, waiting for it if need be."""
        async with asyncio.timeout(PATIENCE):
            while self._is_loud is not loud:
                self._changed.clear()
                await self._changed.wait()
        return self._since

    async def aclose(self) -> None:
        """Stop listening."""
        await self._stream.aclose()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        async for event in self._stream:
            is_loud = is_sound(np.frombuffer(event.frame.data, np.int16))
            if is_loud is not self._is_loud:
                self._is_loud, self._since = is_loud, time.perf_counter()
                self._changed.set()


def is_sound(samples: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> bool:
    """Whether the tone is in there."""
    return int(np.abs(samples).max(initial=0)) > LOUD
