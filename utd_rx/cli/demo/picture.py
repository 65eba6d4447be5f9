"""`timeline.png`: the state streams over time, with what was seen and heard below."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")  # draws into files; the machine may have no display

from matplotlib import pyplot

from utd_rx import read_counter
from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.sound import Way
from utd_rx.cli.demo.story import Story

COLOURS: Final = {
    **dict.fromkeys(("connecting", "reconnecting", "initiating", "ringing", "hand up"), "#f2b134"),
    **dict.fromkeys(("connected", "yes", "active", "on"), "#4c9f70"),
    **dict.fromkeys(("ended", "over"), "#9a9a9a"),
    "forced exit": "#c8553d",
}
OTHER: Final = "#3a7ca5"
EMPTY: Final = "#f0f0f0"
LINES: Final = ("#3a7ca5", "#c8553d", "#f2b134")
YES: Final = {"hand_raised": "hand up", "live_ended": "over"}
FILM: Final = 0.78
"""How much of a strip's height its pictures take; below them are the ticks."""
STRIP_HEIGHT: Final = 0.9
DPI: Final = 110
LENGTH: Final = 1.05
"""Of the time axis, in relation to the last remark: how it ended is shown, too."""
LETTER: Final = 0.0075
"""How much of the width a letter of a label takes."""


def draw_timeline(story: Story, journal: DemoJournal, path: Path, *, title: str) -> None:
    """Draw on one time axis every user's lanes as bars of their values, what each saw as a strip
    of film, and the levels; beside them what was remarked, and the stills.
    """
    end = LENGTH * max((remark.at for remark in journal.remarks), default=journal.elapsed())
    rows = [(who, stream) for who in story.users for stream in story.lanes[who]]
    strips = [name for way in story.sights for name in way.ends]
    heights = (
        0.27 * len(rows),
        *(STRIP_HEIGHT for _ in strips),
        *(1.5 for _ in story.ways),
    )
    figure = pyplot.figure(figsize=(15, 1.2 + sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(heights), 2, width_ratios=(4, 1), height_ratios=heights)
    lanes, *others = (figure.add_subplot(grid[row, 0]) for row in range(len(heights)))
    for axes in others:
        axes.sharex(lanes)
    lanes.set_xlim(0, end)
    films, waves = others[: len(strips)], others[len(strips) :]
    _draw_lanes(lanes, journal, rows, end)
    for way, axes in zip(story.ways, waves, strict=True):
        _draw_levels(axes, journal, way)
    for axes in (lanes, *others):
        axes.tick_params(labelbottom=axes is others[-1])
        axes.spines[["top", "left", "right"]].set_visible(False)
        for remark in journal.remarks:
            axes.axvline(remark.at, color="#999999", linewidth=0.7, zorder=1)
    others[-1].set(xlabel="seconds")
    text = "\n".join(f"{remark.at:5.2f} s  {remark.value}" for remark in journal.remarks)
    beside = figure.add_subplot(grid[0, 1])
    beside.set_axis_off()
    beside.text(0, 1, text, size=8, family="monospace", va="top", transform=beside.transAxes)
    if strips:
        stills = grid[1:, 1].subgridspec(len(strips), 1)
        for row, name in enumerate(strips):
            _draw_still(figure.add_subplot(stills[row]), journal, name)
    figure.suptitle(title, weight="bold")
    figure.draw_without_rendering()  # so that a strip knows how long a second is
    figure.set_layout_engine("none")
    for name, axes in zip(strips, films, strict=True):
        _draw_film(axes, journal, name)
    figure.savefig(path, dpi=DPI)
    pyplot.close(figure)


def _draw_lanes(axes: Any, journal: DemoJournal, rows: list[tuple[str, str]], end: float) -> None:
    for row, (who, stream) in enumerate(rows):
        axes.barh(row, end, height=0.7, color=EMPTY, zorder=0)
        for since, until, value in journal.spans(who, stream):
            _draw_bar(axes, row, since, min(until, end), _label(stream, value), end)
        if row and rows[row - 1][0] != who:
            axes.axhline(row - 0.5, color="#888888", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [f"{who}.{stream}" for who, stream in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)


def _draw_bar(axes: Any, row: int, since: float, until: float, label: str, end: float) -> None:
    if not label:
        return
    colour = COLOURS.get(label, OTHER)
    axes.barh(row, until - since, left=since, height=0.7, color=colour, ec="white", zorder=2)
    if until - since > LETTER * (len(label) + 1) * end:
        axes.text(since + 0.005 * end, row, label, va="center", size=8, color="white")


def _draw_film(axes: Any, journal: DemoJournal, name: str) -> None:
    """Draw what was seen side by side, each picture as long as it is wide, and a tick a frame."""
    film, frames = journal.film.get(name, []), journal.frames.get(name, [])
    axes.set(ylim=(0, 1), yticks=[0.5], yticklabels=[name], facecolor=EMPTY)
    axes.tick_params(left=False)
    if not film:
        return
    times = [frame.at for frame in frames]
    axes.eventplot(times, lineoffsets=0.06, linelengths=0.12, linewidths=0.6, color=OTHER)
    box, second = axes.get_window_extent(), axes.get_xlim()[1]
    rows, columns = film[0].value.shape[:2]
    long = box.height * FILM * columns / rows / box.width * second
    gap = 0.03 * long
    at = times[0]
    while at < times[-1]:
        shown = [one for one in film if at <= one.at < at + long]
        share = min(1.0, (times[-1] - at) / long)
        if shown:
            whole = shown[len(shown) // 2].value
            pixels = whole[:, : max(1, round(columns * share))]
            extent = (at, at + (long - gap) * share, 0.96 - FILM, 0.96)
            axes.imshow(pixels, extent=extent, aspect="auto", zorder=2)
        at += long
    axes.set(xlim=(0, second), ylim=(0, 1))


def _draw_still(axes: Any, journal: DemoJournal, name: str) -> None:
    axes.set_axis_off()
    if name in journal.stills:
        still = journal.stills[name]
        axes.imshow(still.value.upright)
        size = f"{still.value.width}×{still.value.height}"
        number = read_counter(still.value)
        axes.set_title(f"{name}: frame {number}, {size}", size=8)


def _draw_levels(axes: Any, journal: DemoJournal, way: Way) -> None:
    for name, colour in zip((way.begin, *way.ends), LINES, strict=False):
        entries = journal.levels.get(name, [])
        times, values = [entry.at for entry in entries], [entry.value for entry in entries]
        axes.plot(times, values, color=colour, label=name, linewidth=1.4)
    axes.set(ylabel="level, dBFS", ylim=(-80, 0))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.97), ncols=3, frameon=False, fontsize=9)


def _label(stream: str, value: object) -> str:
    """Return what the bar of a value says, nothing for a value that has none."""
    match value:
        case None | False | "disconnected":
            return ""
        case True:
            return YES.get(stream, "yes")
        case int():
            return f"seat {value}" if stream == "my_seat" else str(value)
        case list():
            return ", ".join(map(str, value))
        case "forceExit":
            return "forced exit"
        case _:
            return str(value)
