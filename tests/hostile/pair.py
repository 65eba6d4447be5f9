"""Two who behave well, and what each hears of the other while somebody lies to somebody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import numpy as np
from attrs import frozen

from tests.hostile.lies import Suffering
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.participant import TrackSource
from utd_rx.rtc.room import UTDRoom

PERIOD: Final = 0.25
"""Seconds from one burst of sound to the next; what is heard later than that counts as lost."""

_FRAMES: Final = round(PERIOD * 100)
_BURST: Final = 4
"""Frames of a burst."""

_LOUD: Final = 1_000
"""A peak that a burst reaches in its first decoded frame, and what is left of it later does not."""

_PATIENCE: Final = 20.0
_FORMAT: Final = AudioFormat()
_PHASE: Final = 2 * np.pi * 400 * np.arange(_FORMAT.samples_per_frame) / _FORMAT.sample_rate


def _samples(amplitude: int) -> Samples:
    samples = (amplitude * np.sin(_PHASE)).astype(np.int16)[:, None]
    samples.setflags(write=False)
    return samples


_TONE: Final = _samples(8_000)
_QUIET: Final = _samples(300)
"""What is sent between bursts: of silence nothing would be sent, and its end be late."""


@frozen
class Heard:
    """What the pair heard for a while, both ways: bursts said, and seconds until each was heard."""

    said: int
    delays: tuple[float, ...]
    stall: float

    @property
    def lost(self) -> int:
        """Bursts that were not heard within `PERIOD`."""
        return self.said - len(self.delays)

    def check(self, allowed: Suffering, whose: str) -> None:
        """Fail where the pair suffered more than is allowed."""
        worst = max(self.delays, default=0.0)
        told = f"beside {whose}: {self.lost} of {self.said} lost, {worst:.3f} s late, " + (
            f"stood for {self.stall:.3f} s"
        )
        assert self.said, told
        assert self.lost <= allowed.lost, told
        assert worst <= allowed.delay, told
        assert self.stall <= allowed.stall, told


class _Mouth:
    """An audio input that says a burst each `PERIOD`, and when."""

    format: Final = _FORMAT

    def __init__(self) -> None:
        self.said: list[float] = []
        self.ticks: list[tuple[float, float]] = []
        """When a frame was sent, and how long after it was due."""

    async def open(self, sink: FrameSink) -> _Speech:
        return _Speech(self, sink)


class _Speech:
    """An open `_Mouth`."""

    def __init__(self, mouth: _Mouth, sink: FrameSink) -> None:
        self._mouth = mouth
        self._sink = sink
        self._task = asyncio.create_task(self._run(), name="the pair speaks")

    async def _run(self) -> None:
        due, count = time.monotonic(), 0
        while True:
            now = time.monotonic()
            self._mouth.ticks.append((now, now - due))
            if now > due + 0.05:  # nobody can say later what was not said
                due = now
            is_loud = count % _FRAMES < _BURST
            if count % _FRAMES == 0:
                self._mouth.said.append(now)
            self._sink(AudioFrame(_TONE if is_loud else _QUIET, _FORMAT.sample_rate, now))
            count += 1
            due += 0.01
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def wait_ended(self) -> None:
        await asyncio.shield(self._task)

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


class _Ear:
    """Notes when a burst begins to be heard."""

    def __init__(self) -> None:
        self.onsets: list[float] = []
        self.first = asyncio.Event()
        self._loud_at = 0.0

    def take(self, frames: tuple[AudioFrame, ...]) -> None:
        for frame in frames:
            if int(np.abs(frame.samples).max(initial=0)) > _LOUD:
                if frame.at > self._loud_at + PERIOD / 2:
                    self.onsets.append(frame.at)
                    self.first.set()
                self._loud_at = frame.at


class Pair:
    """Two in a room who hear each other; `since` says how well."""

    def __init__(self) -> None:
        self._ways: list[tuple[_Mouth, _Ear]] = []

    async def listen(self, speaker: UTDRoom, listener: UTDRoom) -> None:
        """Let `speaker` be heard by `listener`, both joined."""
        mouth, ear = _Mouth(), _Ear()
        subscribed: asyncio.Queue[str] = asyncio.Queue()

        def hear(events: tuple[ev.RoomEvent, ...]) -> None:
            for event in events:
                if isinstance(event, ev.TrackSubscribed):
                    subscribed.put_nowait(event.track.sid)

        stop = listener.listen(hear)
        await speaker.publish(mouth, TrackSource.MICROPHONE)
        async with asyncio.timeout(_PATIENCE):
            await listener.hear(await subscribed.get(), ear.take)
            await ear.first.wait()
        stop()
        self._ways.append((mouth, ear))

    def since(self, mark: float) -> Heard:
        """Return what was heard of what was said since `mark`, seconds of `time.monotonic()`; the
        last that may still be on its way is left out."""
        until = time.monotonic() - PERIOD
        said, delays, stall = 0, [], 0.0
        for mouth, ear in self._ways:
            for at in mouth.said:
                if mark <= at <= until:
                    said += 1
                    delay = min((one - at for one in ear.onsets if one >= at), default=PERIOD)
                    if delay < PERIOD:
                        delays.append(delay)
            stall = max(stall, max((late for at, late in mouth.ticks if at >= mark), default=0.0))
        return Heard(said, tuple(delays), stall)


@asynccontextmanager
async def pair(url: str, token: Callable[[str], str]) -> AsyncIterator[Pair]:
    """Have two rooms of this process on the media server at `url`, who hear each other.

    Args:
        url: The media server's.
        token: Makes a token for an identity, to the same room, who may publish and subscribe.
    """
    async with AsyncExitStack() as stack:
        rooms = [await stack.enter_async_context(UTDRoom()) for _ in range(2)]
        for room, identity in zip(rooms, ("ann", "bob"), strict=True):
            await room.connect(url, token(identity))
        found = Pair()
        await found.listen(rooms[0], rooms[1])
        await found.listen(rooms[1], rooms[0])
        yield found
