"""What the demos have in common: users with streams, sound between them, promises to be judged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Protocol

import soxr
from attrs import field, frozen
from reactivex import operators as ops
from reactivex.abc import DisposableBase

from utd_rx import (
    ArraySource,
    AudioComparison,
    AudioFormat,
    AudioFrame,
    AudioInput,
    UTDSession,
    UTDStreamClient,
    WavRecorder,
    WavSource,
    compare,
)
from utd_rx.audio import read_wav
from utd_rx.cli.demo.journal import DemoJournal, Meter
from utd_rx.cli.demo.report import Finding
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.models.audio import AudioInputStream, FrameSink, Samples
from utd_rx.models.events import LocalAudioEnded, RoomEvent

PATIENCE: Final = 20.0
"""Seconds for anything a demo waits for, but the sound, which is added; each takes well under one
on a quiet machine.
"""

TAIL: Final = 0.5
"""Seconds to go on listening after the last sound was sent: jitter buffer and network."""


class Findings(Protocol):
    """What a story leaves to be judged."""

    @property
    def figures(self) -> Mapping[str, object]:
        """What the report holds of it."""


@frozen
class Story:
    """One demo: what is watched of whom, how it goes, and what it promised.

    Args:
        name: What the command calls it.
        users: In the order of the picture.
        watched: The streams of each that the journal keeps.
        lanes: Those of them in the picture.
        columns: Those in the live view, by their headings.
        ways: Sound, from what is said to what is heard; levels in the journal, and recordings.
        play: Plays it with what is to be said, leaving recordings in a folder.
        judge: Says which promises were kept.
    """

    name: str
    users: tuple[str, ...]
    watched: tuple[str, ...]
    lanes: tuple[str, ...]
    columns: Mapping[str, str]
    ways: tuple[Way, ...]
    play: Callable[[str, DemoJournal, WavSource, Path], Coroutine[Any, Any, Any]]
    judge: Callable[[DemoJournal, Any], tuple[Finding, ...]]

    @property
    def recordings(self) -> tuple[str, ...]:
        """The files that playing it leaves."""
        return tuple(way.recording for way in self.ways)


@frozen
class Way:
    """Sound from one user to another: the names of its level where it is said, and heard."""

    said: str
    heard: str

    @property
    def recording(self) -> str:
        return f"{self.heard.replace(' ', '-')}.wav"


@frozen
class TappedInput:
    """An audio input that shows each of its frames to `tap` before whoever opened it has it."""

    source: AudioInput
    tap: FrameSink = field(repr=False)

    @property
    def format(self) -> AudioFormat:
        return self.source.format

    async def open(self, sink: FrameSink) -> AudioInputStream:
        def both(frame: AudioFrame) -> None:
            self.tap(frame)
            sink(frame)

        return await self.source.open(both)


class Sound:
    """What goes a way: metered where it is said, metered and recorded where it is heard."""

    def __init__(self, journal: DemoJournal, way: Way, source: AudioInput, folder: Path) -> None:
        self.path = folder / way.recording
        self._sent: Meter = journal.meter(way.said)
        self._heard: Meter = journal.meter(way.heard)
        self.mouth = TappedInput(source, self._sent)
        self.is_heard = asyncio.Event()

    def listen(
        self, stack: AsyncExitStack, listener: UTDSession[Any], speaker: str
    ) -> DisposableBase:
        """Meter and record what `listener` hears of `speaker`, until what is returned ends it."""
        recorder = stack.enter_context(WavRecorder(self.path))
        frames = listener.audio(speaker).pipe(
            ops.do_action(self._heard), ops.do_action(lambda _: self.is_heard.set())
        )
        return frames.subscribe(recorder)

    def compare(self, sent: Samples, sent_rate: int) -> AudioComparison:
        """Look for what was said in what was heard, whose recording is closed."""
        heard_format, heard = read_wav(self.path)
        rate = heard_format.sample_rate
        return compare(
            sent if sent_rate == rate else soxr.resample(sent, sent_rate, rate),
            heard,
            rate,
            sent_started_at=self._sent.began_at,
            heard_started_at=self._heard.began_at,
            min_delay=0.0,
        )


def spoken(session: UTDSession[Any]) -> asyncio.Event:
    """Return what is set when the session's microphone has said all it had."""
    over = asyncio.Event()

    def note(event: RoomEvent) -> None:
        if isinstance(event, LocalAudioEnded):
            over.set()

    session.events.subscribe(note)
    return over


async def until_over(over: asyncio.Event, sound: WavSource | ArraySource) -> None:
    """Wait until what takes as long as `sound` is over."""
    async with asyncio.timeout(PATIENCE + sound.duration):
        await over.wait()


async def start_engine(
    stack: AsyncExitStack, journal: DemoJournal, sfu: str
) -> tuple[LocalEngine, Callable[[], Awaitable[UTDStreamClient]]]:
    """Start the engine for the length of `stack`; also return what makes a client of it."""
    stack.callback(journal.say, "the engine is down")
    engine = await stack.enter_async_context(LocalEngine(EngineOptions(sfu=sfu)))
    journal.say(f"the engine is up, with the {sfu} SFU")

    async def make_client() -> UTDStreamClient:
        client = UTDStreamClient(
            engine.app_id,
            engine.app_key,
            base_url=engine.base_url,
            token_base_url=engine.token_base_url,
        )
        return await stack.enter_async_context(client)

    return engine, make_client
