"""Streams over time as SVG: bars for a timeline, circles for a marble diagram. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import Any, Final

from attrs import frozen

from utd_rx.testing.diagrams import Letters
from utd_rx.testing.marbles import Mark
from utd_rx.testing.told import told

WIDTH: Final = 900
TOP: Final = 8
ROW: Final = 26
BAR: Final = 18
RADIUS: Final = 10
AXIS: Final = 24
LETTER: Final = 7.0
"""How wide a letter is, about."""

COLOURS: Final = {
    **dict.fromkeys(("CONNECTING", "RECONNECTING", "INITIATING", "RINGING"), "#f2b134"),
    **dict.fromkeys(("CONNECTED", "True", "ACTIVE", "LISTENING"), "#4c9f70"),
    **dict.fromkeys(("FORCE_EXIT", "REJECTED", "BUSY", "MISSED"), "#c8553d"),
    "ENDED": "#9a9a9a",
}
OTHERS: Final = ("#3a7ca5", "#7a5ea8", "#c07d2f", "#5b8c5a", "#a5506b", "#4f6d8f")
EMPTY: Final = "#eef1f3"
NOTHING: Final = frozenset(("None", "False", "()", "{}", "''", "DISCONNECTED", "IDLE"))
"""What a value is told as whose bar is empty."""


@frozen
class StreamLane:
    """What a stream did, to be drawn: values with their times, and when it ended; why, if it
    failed, which no `StateSubject` does, but what is piped behind one."""

    name: str
    marks: tuple[Mark[Any], ...]
    ended_at: float | None = None
    failure: Exception | None = None


def bars(lanes: Sequence[StreamLane], end: float) -> str:
    """Draw each lane as bars, from each value to the next one, until `end`."""
    page = _Page(lanes, end)
    for row, lane in enumerate(lanes):
        ends = [mark.at for mark in lane.marks[1:]]
        ends.append(end if lane.ended_at is None else lane.ended_at)
        words = [told(mark.value) for mark in lane.marks]
        others = [one for one in dict.fromkeys(words) if one not in NOTHING and one not in COLOURS]
        for mark, until, word in zip(lane.marks, ends, words, strict=True):
            colour = COLOURS.get(word) or (
                EMPTY if word in NOTHING else OTHERS[others.index(word) % len(OTHERS)]
            )
            page.bar(row, mark.at, until, word, colour)
        page.end(row, lane)
    return page.svg()


def circles(lanes: Sequence[StreamLane], end: float) -> str:
    """Draw each lane as a marble diagram until `end`: circles on a line, with short values inside,
    and for others a letter that is explained below."""
    page = _Page(lanes, end)
    for row, lane in enumerate(lanes):
        page.line(row, end if lane.ended_at is None else lane.ended_at)
        letters = Letters({})
        is_short = all(len(told(mark.value)) <= SHORT for mark in lane.marks)
        last = -math.inf
        for mark in lane.marks:
            word = told(mark.value)
            place = max(page.x(mark.at), last + 2 * RADIUS + 1)  # side by side, not one on another
            page.circle(row, place, word if is_short else letters.of(mark.value), word)
            last = place
        page.end(row, lane, place=last + RADIUS + 4)
        page.legend(lane.name, {} if is_short else letters.known)
    return page.svg()


SHORT: Final = 3
"""Characters that fit into a circle."""


def ticks(end: float, most: int = 8) -> list[float]:
    """Return round times from 0 to `end`, at most `most` steps of them."""
    if end <= 0:
        return [0.0]
    size = 10.0 ** math.floor(math.log10(end / most))
    step = next(size * n for n in (1, 2, 5, 10) if end / (size * n) <= most)
    return [n * step for n in range(math.floor(end / step + 1e-9) + 1)]


class _Page:
    """A drawing: lanes below each other on one axis of time."""

    def __init__(self, lanes: Sequence[StreamLane], end: float) -> None:
        self._count = len(lanes)
        self._end = max(end, 1e-3)
        self._left = 12 + RADIUS + LETTER * max((len(lane.name) for lane in lanes), default=0)
        self._parts: list[str] = []
        self._legend: list[str] = []
        for row, lane in enumerate(lanes):
            self._text(self._left - RADIUS - 6, self._middle(row) + 4, lane.name, "end")

    def x(self, at: float) -> float:
        """Return where a time is."""
        return self._left + (WIDTH - self._left - 20) * max(0.0, at) / self._end

    def bar(self, row: int, since: float, until: float, word: str, colour: str) -> None:
        left, right, top = self.x(since), self.x(until), self._middle(row) - BAR / 2
        width = max(1.0, right - left - 1)
        self._parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{BAR}" rx="3" '
            f'fill="{colour}"><title>{escape(word)} at {since:.2f} s</title></rect>'
        )
        if colour != EMPTY and width > LETTER * (len(word) + 1):
            self._text(left + 5, self._middle(row) + 4, word, fill="#fff")

    def line(self, row: int, until: float) -> None:
        y = self._middle(row)
        self._parts.append(
            f'<line x1="{self._left:.1f}" x2="{self.x(until):.1f}" y1="{y}" y2="{y}" '
            'stroke="#9fb0bd" stroke-width="1.5"/>'
        )

    def circle(self, row: int, x: float, sign: str, word: str) -> None:
        y = self._middle(row)
        colour = OTHERS[row % len(OTHERS)]
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{y}" r="{RADIUS}" fill="#fff" stroke="{colour}" '
            f'stroke-width="1.5"><title>{escape(word)}</title></circle>'
        )
        self._text(x, y + 4, sign, "middle")

    def end(self, row: int, lane: StreamLane, *, place: float = 0.0) -> None:
        """Draw the upright stroke with which a stream ends, and why it failed."""
        if lane.ended_at is not None:
            x, y = max(self.x(lane.ended_at), place), self._middle(row)
            self._parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - BAR / 2}" y2="{y + BAR / 2}" '
                f'stroke="{"#1d2730" if lane.failure is None else "#c8553d"}" stroke-width="2"/>'
            )
            if lane.failure is not None:
                self._text(x + 6, y + 4, f"{type(lane.failure).__name__}: {lane.failure}")

    def legend(self, name: str, letters: dict[str, object]) -> None:
        self._legend += _wrapped(name, [f"{sign}: {told(one)}" for sign, one in letters.items()])

    def svg(self) -> str:
        bottom = TOP + ROW * self._count
        for at in ticks(self._end):
            x = self.x(at)
            self._parts.insert(
                0,
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="#e3e8ec"/>',
            )
            self._text(x, bottom + 14, f"{at:g} s", "middle", fill="#66737e")
        for number, line in enumerate(self._legend):
            self._text(12, bottom + AXIS + 14 + 16 * number, line)
        height = bottom + AXIS + 16 * len(self._legend) + (8 if self._legend else 0)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" font-family="system-ui, sans-serif" '
            f'font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
            f"{''.join(self._parts)}</svg>"
        )

    def _middle(self, row: int) -> float:
        return TOP + ROW * row + ROW / 2

    def _text(
        self, x: float, y: float, words: str, anchor: str = "start", fill: str = "#1d2730"
    ) -> None:
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">'
            f"{escape(_printable(words))}</text>"
        )


def _wrapped(name: str, entries: list[str]) -> Iterator[str]:
    """Break a legend into lines that fit."""
    lines = [name] if entries else []
    for before, entry in pairwise(["", *entries]):
        gap = "   " if before else " "
        if len(lines[-1]) + len(gap) + len(entry) > WIDTH / LETTER:
            lines.append("    ")
        lines[-1] += gap + entry
    yield from lines


def _printable(words: str) -> str:
    """Return words without what XML may not hold."""
    return "".join(one if one.isprintable() else "�" for one in words)
