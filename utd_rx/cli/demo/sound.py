"""The sound of a demo: metered where it is said, metered and recorded where it is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
import soxr
from attrs import field, frozen
from reactivex.abc import DisposableBase
from reactivex.disposable import CompositeDisposable

from utd_rx import AudioComparison, AudioFrame, AudioInput, UTDSession, WavRecorder, compare
from utd_rx.audio import read_wav
from utd_rx.cli.demo.journal import DemoJournal, Meter
from utd_rx.models.audio import AudioInputStream, FrameSink, Samples

LEAD: Final = 1.0
"""Seconds of silence before the first word: until then all have joined and subscribed."""

Format = TypeVar("Format")
Frame = TypeVar("Frame")
Format_co = TypeVar("Format_co", covariant=True)
Frame_co = TypeVar("Frame_co", covariant=True)


@frozen
class Way:
    """What goes from one user to others: its name in the journal where it begins, and at each
    of its ends.
    """

    begin: str
    ends: tuple[str, ...]

    def files(self, suffix: str) -> tuple[str, ...]:
        """Return the name of the file that each end leaves."""
        return tuple(file_of(end, suffix) for end in self.ends)


def file_of(end: str, suffix: str) -> str:
    """Return the name of the file that the end of a way leaves."""
    return end.replace(" ", "-") + suffix


class Input(Protocol[Format_co, Frame_co]):
    """What an `AudioInput` and a `VideoInput` have in common."""

    @property
    def format(self) -> Format_co: ...

    async def open(self, sink: Callable[[Frame_co], None]) -> AudioInputStream: ...


@frozen
class TappedInput(Generic[Format, Frame]):
    """An input that shows each of its frames to `tap` before whoever opened it has it."""

    source: Input[Format, Frame]
    tap: Callable[[Frame], None] = field(repr=False)

    @property
    def format(self) -> Format:
        return self.source.format

    async def open(self, sink: Callable[[Frame], None]) -> AudioInputStream:
        def both(frame: Frame) -> None:
            self.tap(frame)
            sink(frame)

        return await self.source.open(both)


class Ear:
    """One end of a sound's way."""

    def __init__(self, journal: DemoJournal, name: str, folder: Path) -> None:
        self.name = name
        self._path = folder / file_of(name, ".wav")
        self._meter: Meter = journal.meter(name)
        self.is_heard = asyncio.Event()

    def listen(
        self, stack: AsyncExitStack, listener: UTDSession[Any], speaker: str
    ) -> DisposableBase:
        return listener.audio(speaker).subscribe(self.sink(stack))

    def sink(self, stack: AsyncExitStack) -> FrameSink:
        """Return what meters and records frames, for the length of `stack`."""
        recorder = stack.enter_context(WavRecorder(self._path))

        def take(frame: AudioFrame) -> None:
            self._meter(frame)
            self.is_heard.set()
            recorder(frame)

        return take

    def compare(self, sent: Samples, sent_rate: int, sent_at: float) -> AudioComparison:
        heard_format, heard = read_wav(self._path)
        rate = heard_format.sample_rate
        return compare(
            sent if sent_rate == rate else soxr.resample(sent, sent_rate, rate),
            heard,
            rate,
            sent_started_at=sent_at,
            heard_started_at=self._meter.began_at,
            min_delay=0.0,
        )


class Speech:
    """What goes a way."""

    def __init__(self, journal: DemoJournal, way: Way, source: AudioInput, folder: Path) -> None:
        self._sent: Meter = journal.meter(way.begin)
        self._ears = [Ear(journal, end, folder) for end in way.ends]
        self.mouth = TappedInput(source, self._take)
        self._awaited: list[tuple[float, asyncio.Event]] = []

    def listen(
        self, stack: AsyncExitStack, speaker: str, *listeners: UTDSession[Any]
    ) -> DisposableBase:
        """Meter and record what the listeners hear of `speaker`, until what is returned ends it."""
        pairs = zip(self._ears, listeners, strict=True)
        return CompositeDisposable([ear.listen(stack, one, speaker) for ear, one in pairs])

    def sinks(self, stack: AsyncExitStack) -> list[FrameSink]:
        """Return for each end what meters and records the frames that come out there."""
        return [ear.sink(stack) for ear in self._ears]

    async def until_heard(self) -> None:
        """Wait until it is heard at every end."""
        for ear in self._ears:
            await ear.is_heard.wait()

    async def until_said(self, seconds: float) -> None:
        """Wait until it was said for so long, of a source that does not end before."""
        event = asyncio.Event()
        self._awaited.append((seconds, event))
        await event.wait()

    def compare(self, sent: Samples, sent_rate: int) -> dict[str, AudioComparison]:
        """Look for what was said in what was heard at each end; its recordings are closed."""
        began_at = self._sent.began_at
        return {ear.name: ear.compare(sent, sent_rate, began_at) for ear in self._ears}

    def _take(self, frame: AudioFrame) -> None:
        self._sent(frame)
        spoken = frame.at + frame.duration - self._sent.began_at  # with what a stall left out
        for seconds, event in self._awaited:
            if spoken >= seconds:
                event.set()


def silence(samples: Samples, rate: int, seconds: float) -> Samples:
    """Return silence with the channels of `samples`."""
    return np.zeros((round(seconds * rate), samples.shape[1]), np.int16)
