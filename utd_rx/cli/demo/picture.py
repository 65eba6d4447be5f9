"""`timeline.png`: the state streams over time, with the audio levels below."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")  # draws into files; the machine may have no display

from matplotlib import pyplot

from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.story import Story

COLOURS: Final = {
    **dict.fromkeys(("connecting", "reconnecting", "initiating", "ringing"), "#f2b134"),
    **dict.fromkeys(("connected", "yes", "active"), "#4c9f70"),
    "ended": "#9a9a9a",
    "forced exit": "#c8553d",
}
OTHER: Final = "#3a7ca5"
EMPTY: Final = "#f0f0f0"
MIN_LABELLED: Final = 0.09
"""Share of the width below which a bar is too narrow for its label."""


def draw_timeline(story: Story, journal: DemoJournal, path: Path, *, title: str) -> None:
    """Draw every user's lanes as bars of their values, and the levels, on one time axis."""
    end = journal.elapsed()
    rows = [(who, stream) for who in story.users for stream in story.lanes]
    figure, (lanes, *waves) = pyplot.subplots(
        *(1 + len(story.ways), 1),
        figsize=(12, 3 + 0.3 * len(rows) + 1.6 * len(story.ways)),
        sharex=True,
        height_ratios=(0.25 * len(rows), *(1.2 for _ in story.ways)),
        layout="constrained",
    )
    for row, (who, stream) in enumerate(rows):
        lanes.barh(row, end, height=0.7, color=EMPTY, zorder=0)
        for since, until, value in journal.spans(who, stream):
            _draw_bar(lanes, row, since, until, _label(value), end)
    lanes.set_yticks(range(len(rows)), [f"{who}.{stream}" for who, stream in rows])
    lanes.set_ylim(len(rows) - 0.4, -0.6)
    for boundary in range(len(story.lanes), len(rows), len(story.lanes)):
        lanes.axhline(boundary - 0.5, color="#888888", linewidth=0.8)
    for remark in journal.remarks:
        lanes.axvline(remark.at, color="#999999", linewidth=0.7, zorder=1)
    text = "\n".join(f"{remark.at:5.2f} s  {remark.value}" for remark in journal.remarks)
    place = {"transform": lanes.transAxes, "va": "top"}
    lanes.text(1.01, 1.0, text, size=8, family="monospace", **place)
    for way, levels in zip(story.ways, waves, strict=True):
        for name, colour in ((way.said, "#3a7ca5"), (way.heard, "#c8553d")):
            entries = journal.levels.get(name, [])
            times, values = [entry.at for entry in entries], [entry.value for entry in entries]
            levels.plot(times, values, color=colour, label=name, linewidth=1.4)
        levels.set(ylabel="level, dBFS", ylim=(-80, 0), xlim=(0, end))
        levels.grid(visible=True, alpha=0.3)
        levels.legend(loc="upper left")
    waves[-1].set(xlabel="seconds")
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_bar(axes: Any, row: int, since: float, until: float, label: str, end: float) -> None:
    if not label:
        return
    colour = COLOURS.get(label, OTHER)
    axes.barh(row, until - since, left=since, height=0.7, color=colour)
    if until - since > MIN_LABELLED * end:
        axes.text(since + 0.005 * end, row, label, va="center", size=8, color="white")


def _label(value: object) -> str:
    """Return what the bar of a value says, nothing for a value that has none."""
    match value:
        case None | False | "disconnected":
            return ""
        case True:
            return "yes"
        case int():
            return f"seat {value}"
        case list():
            return ", ".join(map(str, value))
        case "forceExit":
            return "forced exit"
        case _:
            return str(value)
