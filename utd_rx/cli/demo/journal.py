"""What happened when: every state stream, every level, every remark, on one clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import Any

from attrs import define, field, frozen

from utd_rx import AudioFrame, StateSubject
from utd_rx.audio import LevelMeter
from utd_rx.cli.plain import plain


@frozen
class Entry:
    """One value of one stream; `at` is seconds since the demo began."""

    at: float
    value: Any


@define
class Meter:
    """Takes a run of frames: writes their levels down, and tells when it began.

    A frame may be late, and a source that stalled leaves some out, which then all seem late; none
    is early. So what says the earliest beginning, in seconds of `time.monotonic()`, is right.
    """

    entries: list[Entry]
    zero: float
    _meter: LevelMeter = field(factory=LevelMeter)
    _seconds: float = 0.0
    began_at: float = inf

    def __call__(self, frame: AudioFrame) -> None:
        self.began_at = min(self.began_at, frame.at - self._seconds)
        self._seconds += frame.duration
        level = self._meter.push(frame)
        if level is not None:
            self.entries.append(Entry(round(level.at - self.zero, 4), level.rms_dbfs))


@define
class DemoJournal:
    """Keeps every value of the streams it watches, levels in dBFS, the numbers of frames, some of
    their pictures, and what the demo remarks.
    """

    now: Callable[[], float] = time.monotonic
    began_at: float = field(factory=time.monotonic)
    streams: dict[tuple[str, str], list[Entry]] = field(factory=dict)
    levels: dict[str, list[Entry]] = field(factory=dict)
    frames: dict[str, list[Entry]] = field(factory=dict)
    film: dict[str, list[Entry]] = field(factory=dict)
    stills: dict[str, Entry] = field(factory=dict)
    remarks: list[Entry] = field(factory=list)
    listeners: list[Callable[[str], None]] = field(factory=list)

    def watch(self, who: str, name: str, subject: StateSubject[Any]) -> None:
        """Record every value of `subject` under the user `who`, as `plain` makes it."""
        entries = self.streams.setdefault((who, name), [])

        def note(value: object) -> None:
            told = plain(value)
            if not entries or entries[-1].value != told:
                entries.append(Entry(self.elapsed(), told))

        subject.subscribe(note)

    def meter(self, name: str) -> Meter:
        """Return a sink that records the level of the frames it is given under `name`."""
        return Meter(self.levels.setdefault(name, []), self.began_at)

    def say(self, remark: str) -> None:
        """Record a remark and tell it to the listeners."""
        self.remarks.append(Entry(self.elapsed(), remark))
        for listener in self.listeners:
            listener(remark)

    def elapsed(self) -> float:
        """Seconds since the demo began, to 0.1 ms."""
        return self.at(self.now())

    def at(self, moment: float) -> float:
        """Return how many seconds after the demo began a moment of its clock is."""
        return round(moment - self.began_at, 4)

    def spans(self, who: str, stream: str) -> list[tuple[float, float, Any]]:
        """Return from when to when a stream held which value."""
        entries = self.streams.get((who, stream), [])
        ends = [*(entry.at for entry in entries[1:]), self.elapsed()]
        return [(entry.at, end, entry.value) for entry, end in zip(entries, ends, strict=False)]

    def latest(self, who: str, stream: str) -> object:
        """Return the newest value of a stream, None before its first."""
        entries = self.streams.get((who, stream))
        return entries[-1].value if entries else None
