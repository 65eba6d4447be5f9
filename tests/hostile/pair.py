"""Two who behave well, and what each hears of the other while somebody lies to somebody else."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import numpy as np
from attrs import frozen

from tests.hostile.lies import Suffering
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.participant import TrackSource
from utd_rx.rtc.room import UTDRoom

PERIOD: Final = 0.25
"""Seconds from one burst of sound to the next."""

LATE: Final = 1.0
"""Seconds after which what was not heard is lost."""

SOON: Final = 0.2
"""Seconds after which sound is heard at rest; what a busy machine does lasts for a while, as who
plays sound waits for what may come late."""

_SETTLES: Final = 3.0
_FRAMES: Final = round(PERIOD * 100)
_BURST: Final = 4
"""Frames of a burst."""

_TONES: Final = tuple(range(4, 36, 4))
"""Of the bursts, one after another, in hundreds of hertz: each is known by its own for longer than
it may be late."""

_LOUD: Final = 1_000
"""A peak that a burst reaches in its first decoded frame, and what is left of it later does not."""

_PURE: Final = 0.7
"""Of a frame's power, what is in the tone of a burst where the frame is of one from end to end."""

_LATELY: Final = 4
"""Bursts by which is known how late sound was before something happened."""

_PATIENCE: Final = 20.0
_FORMAT: Final = AudioFormat()


def _samples(amplitude: int, tone: int) -> Samples:
    phase = 2 * np.pi * 100 * tone * np.arange(_FORMAT.samples_per_frame) / _FORMAT.sample_rate
    samples = (amplitude * np.sin(phase)).astype(np.int16)[:, None]
    samples.setflags(write=False)
    return samples


BURSTS: Final = tuple(_samples(8_000, tone) for tone in _TONES)
_QUIET: Final = _samples(300, _TONES[0])
"""What is sent between bursts: of silence nothing would be sent, and its end be late."""


def tone_of(samples: Samples) -> int | None:
    """Return which burst's tone fills a frame, if one does."""
    if int(np.abs(samples).max(initial=0)) <= _LOUD:
        return None
    power = np.abs(np.fft.rfft(samples[:, 0].astype(np.float64))) ** 2
    of_each = [power[tone - 1 : tone + 2].sum() for tone in _TONES]
    loudest = int(np.argmax(of_each))
    return loudest if of_each[loudest] > _PURE * power.sum() else None


@frozen
class Heard:
    """What the pair heard for a while, both ways: bursts said, and seconds until each was heard."""

    said: int
    delays: tuple[float, ...]
    rise: float
    """Seconds that the latest was heard later than those just before."""

    stall: float

    @property
    def lost(self) -> int:
        """Bursts that were not heard within `LATE`."""
        return self.said - len(self.delays)

    def check(self, allowed: Suffering, whose: str) -> None:
        """Fail where the pair suffered more than is allowed."""
        worst = max(self.delays, default=0.0)
        told = f"beside {whose}: {self.lost} of {self.said} lost, {worst:.3f} s late, " + (
            f"{self.rise:.3f} s more than before, stood for {self.stall:.3f} s"
        )
        assert self.said, told
        assert self.lost <= allowed.lost, told
        assert self.rise <= allowed.delay, told
        assert self.stall <= allowed.stall, told


class _Mouth:
    """An audio input that says a burst each `PERIOD`, and when."""

    format: Final = _FORMAT

    def __init__(self, news: asyncio.Event) -> None:
        self.news = news
        self.said: list[float] = []
        """When each burst began; its tone is its number's."""
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
            if count % _FRAMES == 0:
                self._mouth.said.append(now)
                self._mouth.news.set()
            is_loud = count % _FRAMES < _BURST
            samples = BURSTS[count // _FRAMES % len(BURSTS)] if is_loud else _QUIET
            self._sink(AudioFrame(samples, _FORMAT.sample_rate, now))
            count += 1
            due += 0.01
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def wait_ended(self) -> None:
        await asyncio.shield(self._task)

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


class _Ear:
    """Notes when each burst begins to be heard, and its tone."""

    def __init__(self, news: asyncio.Event) -> None:
        self.news = news
        self.onsets: list[tuple[float, int]] = []

    def take(self, frames: tuple[AudioFrame, ...]) -> None:
        for frame in frames:
            tone = tone_of(frame.samples)
            if tone is not None and (not self.onsets or self.onsets[-1][1] != tone):
                self.onsets.append((frame.at, tone))
                self.news.set()


class Way:
    """From one's mouth to the other's ear."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        """Set whenever a burst begins to be said, or to be heard."""
        self.mouth, self.ear = _Mouth(self.news), _Ear(self.news)

    def delays(self, mark: float, until: float) -> dict[float, float | None]:
        """Return how late each burst was heard that was said from `mark` on, and not `until`."""
        found: dict[float, float | None] = {}
        said, onsets = self.mouth.said, self.ear.onsets
        for number in range(bisect_left(said, mark), bisect_left(said, until)):
            at, tone = said[number], number % len(_TONES)
            heard = onsets[bisect_left(onsets, (at, 0)) : bisect_left(onsets, (at + LATE, 0))]
            found[at] = next((when - at for when, which in heard if which == tone), None)
        return found

    def before(self, mark: float) -> float:
        """Return how late bursts were heard before."""
        lately = self.delays(mark - _LATELY * PERIOD, mark).values()
        known = [late for late in lately if late is not None]
        return float(np.median(known)) if known else 0.0

    def is_soon(self, now: float) -> bool:
        """Say whether each burst of late was heard within `SOON`."""
        lately = self.delays(now - SOON - _LATELY * PERIOD, now - SOON).values()
        return all(late is not None and late < SOON for late in lately)

    async def heard(self, mark: float) -> list[float | None]:
        """Wait until all that was said from `mark` on, one burst at least, was heard or is lost;
        return how late."""
        while not self.mouth.said or self.mouth.said[-1] < mark:
            await self._something(PERIOD)
        until = time.monotonic()
        while True:
            delays = self.delays(mark, until)
            missing = [at for at, late in delays.items() if late is None]
            if not missing or missing[-1] + LATE < time.monotonic():
                return [*delays.values()]
            await self._something(missing[-1] + LATE - time.monotonic())

    async def _something(self, seconds: float) -> None:
        self.news.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.news.wait(), seconds)


class Pair:
    """Two in a room who hear each other; `since` says how well."""

    def __init__(self) -> None:
        self._ways: list[Way] = []

    async def listen(self, speaker: UTDRoom, listener: UTDRoom) -> None:
        """Let `speaker` be heard by `listener`, both joined."""
        way = Way()
        subscribed: asyncio.Queue[str] = asyncio.Queue()

        def hear(events: tuple[ev.RoomEvent, ...]) -> None:
            for event in events:
                if isinstance(event, ev.TrackSubscribed):
                    subscribed.put_nowait(event.track.sid)

        stop = listener.listen(hear)
        await speaker.publish(way.mouth, TrackSource.MICROPHONE)
        async with asyncio.timeout(_PATIENCE):
            await listener.hear(await subscribed.get(), way.ear.take)
            while len(way.ear.onsets) < _LATELY:
                way.news.clear()
                await way.news.wait()
        stop()
        self._ways.append(way)

    async def settle(self) -> bool:
        """Wait until both are heard soon, but not for long; say whether they are."""
        until = time.monotonic() + _SETTLES
        while not (is_soon := all(way.is_soon(time.monotonic()) for way in self._ways)):
            if time.monotonic() > until:
                break
            await self.since(time.monotonic())
        return is_soon

    async def since(self, mark: float) -> Heard:
        """Wait until what was said since `mark`, seconds of `time.monotonic()`, was heard or is
        lost, one burst each way at least, and return how well."""
        each = await asyncio.gather(*(way.heard(mark) for way in self._ways))
        delays: list[float] = []
        rise = stall = 0.0
        for way, found in zip(self._ways, each, strict=True):
            heard = [late for late in found if late is not None]
            rise = max(rise, max(heard, default=0.0) - way.before(mark))
            stall = max(stall, *(late for at, late in way.mouth.ticks if at >= mark))
            delays += heard
        return Heard(sum(map(len, each)), tuple(delays), rise, stall)


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
