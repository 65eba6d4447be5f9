"""The pictures of a demo: their numbers where they are shown and seen, and some to look at."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from statistics import median
from typing import Any, Final

import numpy as np
from attrs import frozen
from reactivex.abc import DisposableBase
from reactivex.disposable import CompositeDisposable

from utd_rx import FrameSource, TestPattern, UTDSession, VideoFrame, VideoInput, read_counter
from utd_rx.cli.demo.journal import DemoJournal, Entry
from utd_rx.cli.demo.sound import TappedInput, Way
from utd_rx.models.video import Pixels

FILM_EVERY: Final = 0.2
"""Seconds from one small picture that is kept to the next."""

FILM_HEIGHT: Final = 72
"""Rows of such a picture, about."""


@frozen
class Sighting:
    """What one end saw of the numbered frames that were shown; seconds.

    Args:
        frames: How many came.
        unreadable: Those whose number could not be read.
        disordered: Those that came after a later one, or a second time.
        missed: Those that were shown between the first and the last seen, and did not come.
        delay: From being shown to being seen, the median; None without a frame.
    """

    frames: int
    unreadable: int
    disordered: int
    missed: int
    delay: float | None


def sighting(shown: list[Entry], seen: list[Entry]) -> Sighting:
    """Compare the numbers that were seen with those that were shown."""
    numbers = [entry.value for entry in seen if entry.value is not None]
    known = {entry.value: entry.at for entry in shown}
    if not numbers:
        return Sighting(len(seen), len(seen), 0, 0, None)
    between = [number for number in known if numbers[0] <= number <= numbers[-1]]
    delays = [entry.at - known[entry.value] for entry in seen if entry.value in known]
    return Sighting(
        frames=len(seen),
        unreadable=len(seen) - len(numbers),
        disordered=sum(later <= earlier for earlier, later in pairwise(numbers)),
        missed=len(set(between) - set(numbers)),
        delay=round(median(delays), 4) if delays else None,
    )


def tinted(pattern: TestPattern, colour: tuple[int, int, int]) -> FrameSource:
    """Return a camera that shows a pattern with a colour over what is below its number."""
    half = np.array(colour, np.uint8) // 2

    def draw(number: int) -> Pixels:
        picture = pattern.picture(number)
        below = picture[pattern.height // 3 :]
        below //= 2
        below += half
        return picture

    return FrameSource(draw, pattern.fps, size=(pattern.width, pattern.height))


class Eye:
    """One end of the pictures' way: writes numbers down, keeps a film, and the best still."""

    def __init__(self, journal: DemoJournal, name: str) -> None:
        self._journal = journal
        self._name = name
        self._numbers = journal.frames.setdefault(name, [])
        self._film = journal.film.setdefault(name, [])
        self.is_seen = asyncio.Event()

    def __call__(self, frame: VideoFrame) -> None:
        at = self._journal.at(frame.timestamp)
        number = read_counter(frame)
        self._numbers.append(Entry(at, number))
        if not self._film or at - self._film[-1].at >= FILM_EVERY:
            step = max(1, frame.height // FILM_HEIGHT)
            self._film.append(Entry(at, frame.upright[::step, ::step].copy()))
        best = self._journal.stills.get(self._name)
        if number is not None and (best is None or frame.height >= best.value.height):
            self._journal.stills[self._name] = Entry(at, frame)
            self.is_seen.set()


class Show:
    """The pictures that go a way, from a camera whose frames are numbered."""

    def __init__(self, journal: DemoJournal, way: Way, camera: VideoInput) -> None:
        self._journal = journal
        self._way = way
        shown = journal.frames.setdefault(way.begin, [])

        def note(frame: VideoFrame) -> None:
            shown.append(Entry(journal.elapsed(), read_counter(frame)))

        self.camera = TappedInput(camera, note)
        self._eyes = [Eye(journal, end) for end in way.ends]

    def watch(self, who: str, *watchers: UTDSession[Any]) -> DisposableBase:
        """Write down what the watchers see of `who`, until what is returned ends it."""
        pairs = zip(self._eyes, watchers, strict=True)
        return CompositeDisposable([one.video(who).subscribe(eye) for eye, one in pairs])

    async def until_seen(self) -> None:
        """Wait until a frame whose number can be read has come to every end."""
        for eye in self._eyes:
            await eye.is_seen.wait()

    def sightings(self) -> dict[str, Sighting]:
        """Return what each end saw."""
        frames = self._journal.frames
        return {end: sighting(frames[self._way.begin], frames[end]) for end in self._way.ends}
