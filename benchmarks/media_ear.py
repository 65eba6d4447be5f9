"""Mouth to ear for `benchmarks.media_process`: calm, busy, stopped, killed; and its memory.

A talker hears virtual cable A and a listener plays to cable B, as in `benchmarks.audio`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import define, field, frozen
from livekit import rtc

from benchmarks.audio import MAX_DELAY, WINDOW, Ears, Recording
from benchmarks.media_machine import Tree, media_child
from benchmarks.tracks import Child, peer
from tests.rtc.bench import token
from tests.support.pulse import CABLE_A, CABLE_B
from tests.support.sfu import RunningSfu
from utd_rx.audio import ToneSource, WavSource, speech_path
from utd_rx.audio.convert import to_unit
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.testing import alignment
from utd_rx.testing.sound import MIN_COMPARED_SECONDS, AudioComparison, compare

APPS: Final = "benchmarks.media_peers"
RATE: Final = 48_000
EAR_BLOCK: Final = 0.01
MOUTH_BLOCK: Final = 0.005
"""Seconds; of what measures, whatever a microphone's and a speaker's are."""

SETTLE: Final = 4.0
WINDOWS: Final = 4
BLOCKED: Final = 5.0
STOPPED: Final = 2.0
GHOST: Final = 30.0
"""Seconds to wait for somebody to be gone; LiveKit gives up a client after 15 to 21."""

QUIET: Final = 0.02
"""Share of full scale below which a tone of half of it is not there."""

PAUSE: Final = 0.06
"""Seconds of silence between two words."""

WORD: Final = 0.3


@define
class Windows:
    """What was heard in some windows; delays in ms, lost in seconds."""

    recordings: list[Recording] = field(factory=list)
    compared: list[AudioComparison] = field(factory=list)
    words: int = 0
    lost_words: int = 0

    async def take(self, ears: Ears, windows: int, seconds: float = WINDOW) -> None:
        """Record so many of them; compared later, as it would stall this loop."""
        for _ in range(windows):
            self.recordings.append(await ears.hear(seconds))

    def judge(self) -> None:
        """Compare what was recorded."""
        for one in self.recordings:
            compared = one.compare()
            self.compared.append(compared)
            words = words_of(one.sent_samples)
            self.words += len(words)
            self.lost_words += sum(not is_heard(one, *word, compared) for word in words)
        self.recordings.clear()

    @property
    def delays(self) -> list[float]:
        """One for each window that was recognised, ms."""
        return [1000 * one.delay for one in self.compared if one.delay is not None]

    @property
    def lost(self) -> list[float]:
        """Seconds of each window."""
        return [one.lost_seconds for one in self.compared]


@define
class Ear:
    """The figures of one path in one round; seconds, but memory in MB."""

    calm: Windows = field(factory=Windows)
    busy: Windows = field(factory=Windows)
    blocked: Windows = field(factory=Windows)
    stopped: Windows = field(factory=Windows)
    memory: dict[str, float] = field(factory=dict)
    heard_again: float | None = None
    gone: float | None = None


def words_of(sent: npt.NDArray[Any]) -> list[tuple[int, int]]:
    """Return where the words of what was sent begin and end, in samples: what lies between two
    pauses, in pieces of about `WORD`, and no piece that is too short to be recognised."""
    size = RATE // 100
    windows = np.abs(sent[: len(sent) // size * size].reshape(-1, size)).max(axis=1)
    loud = np.flatnonzero(windows > 0.03 * windows.max(initial=1))
    found = []
    for run in np.split(loud, np.flatnonzero(np.diff(loud) > PAUSE * 100) + 1):
        pieces = round(len(run) / 100 / WORD)
        if pieces:
            edges = np.linspace(run[0], run[-1] + 1, pieces + 1).astype(int) * size
            found += list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    return [word for word in found if is_long_enough(sent[slice(*word)])]


def is_long_enough(word: npt.NDArray[Any]) -> bool:
    """Whether there is enough of it to be recognised; one that a window cuts may be too short."""
    active = alignment.active_windows(to_unit(word), RATE)
    return int(np.count_nonzero(active)) / alignment.WINDOWS_PER_SECOND >= MIN_COMPARED_SECONDS


def is_heard(one: Recording, begin: int, end: int, whole: AudioComparison) -> bool:
    """Whether a word is heard about when the others are, or later by less than a word."""
    if whole.offset is None:
        return False
    around = RATE // 4
    place = begin + round(whole.offset * RATE)
    heard = one.heard_samples[max(0, place - around) : place + (end - begin) + around]
    word = compare(one.sent_samples[begin:end], heard, RATE)
    return word.is_match and word.lost_seconds < word.compared_seconds / 2


class Mouth:
    """What is played into cable A: speech, or a tone in which every hole is seen."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._source: Any = None
        self._said: Any = None

    async def say(self, what: str) -> None:
        """Say that instead."""
        await self.aclose()
        source = WavSource(speech_path(), loop=True) if what == "speech" else ToneSource(440)
        self._source = await source.open(self._speaker.voice(what))

    async def aclose(self) -> None:
        """Say no more."""
        if self._source is not None:
            await self._source.aclose()
            self._source = None


@frozen
class Stage:
    """What all paths are measured with, one after the other."""

    sfu: RunningSfu
    ears: Ears
    mouth: Mouth
    watcher: rtc.Room

    @asynccontextmanager
    async def app(self, program: str, path: str, **values: object) -> AsyncIterator[Child]:
        """Run an app in the room."""
        minted = token(self.sfu, program)
        async with peer(
            APPS, program=program, path=path, url=self.sfu.url, token=minted, **values
        ) as child:
            yield child

    async def gone(self, identity: str) -> float:
        """Return how long somebody is still in the room."""
        began = time.monotonic()
        while identity in self.watcher.remote_participants:
            if time.monotonic() - began > GHOST:
                break
            await asyncio.sleep(0.005)
        return time.monotonic() - began


@asynccontextmanager
async def stage(sfu: RunningSfu) -> AsyncIterator[Stage]:
    """Open the cables, and have somebody in the room who sees who comes and goes."""
    async with AsyncExitStack() as stack:
        ears = Ears()
        for cable, frames in zip((CABLE_A, CABLE_B), ears.sides, strict=True):
            microphone = Microphone(cable, block=EAR_BLOCK)
            stack.push_async_callback(microphone.aclose)
            await microphone.open(frames.append)
        speaker = await stack.enter_async_context(Speaker(CABLE_A, block=MOUTH_BLOCK))
        mouth = Mouth(speaker)
        stack.push_async_callback(mouth.aclose)
        watcher = rtc.Room()
        options = rtc.RoomOptions(auto_subscribe=False)
        await watcher.connect(sfu.url, token(sfu, "watcher"), options)
        stack.push_async_callback(watcher.disconnect)
        yield Stage(sfu, ears, mouth, watcher)


async def measure(on: Stage, path: str) -> Ear:
    """Take one round of one path."""
    one = Ear()
    await on.mouth.say("speech")
    async with on.app("listen", path) as listener, on.app("talk", path) as talker:
        await asyncio.sleep(SETTLE)
        await one.calm.take(on.ears, WINDOWS)
        one.memory = {
            "talker": Tree(talker.pid).memory(),
            "listener": Tree(listener.pid).memory(),
        }
        await talker.ask(f"block {BLOCKED}")
        await one.blocked.take(on.ears, 1, BLOCKED - 1)
        await asyncio.sleep(1.0)
        stopping = asyncio.create_task(one.stopped.take(on.ears, 1, STOPPED + 2))
        await asyncio.sleep(0.5)
        os.kill(talker.pid, signal.SIGSTOP)
        await asyncio.sleep(STOPPED)
        os.kill(talker.pid, signal.SIGCONT)
        await stopping
        await asyncio.sleep(SETTLE)
        for app in (listener, talker):
            await app.ask("spin")
        await asyncio.sleep(SETTLE)
        await one.busy.take(on.ears, WINDOWS)
        for app in (listener, talker):
            await app.ask("calm")
        child = media_child(talker.pid)
        if child is not None:
            await on.mouth.say("tone")
            await asyncio.sleep(2.0)
            one.heard_again = await _heard_again(on, child)
        os.kill(talker.pid, signal.SIGKILL)
        one.gone = await on.gone("talk")
    return one


async def _heard_again(on: Stage, child: int) -> float | None:
    """Kill what carries a tone; return when it is heard again, None where it never is."""
    for frames in on.ears.sides:
        frames.clear()
    await asyncio.sleep(0.5)
    killed = time.monotonic()
    os.kill(child, signal.SIGKILL)
    await asyncio.sleep(6.0 + MAX_DELAY)
    frames = [frame for frame in on.ears.sides[1] if frame.at > killed]
    is_quiet = [np.abs(frame.samples).max() < QUIET * 32_768 for frame in frames]
    # The end of the last tenth of a second and more without the tone.
    end, run = None, 0
    for frame, quiet in zip(frames, is_quiet, strict=True):
        end = frame.at - killed if run >= 10 and not quiet else end
        run = run + 1 if quiet else 0
    return None if run >= 10 else end
