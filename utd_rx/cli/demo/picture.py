"""`timeline.png`: the state streams over time, with the audio levels below."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("Agg")  # draws into files; the machine may have no display

from matplotlib import pyplot

from utd_rx.cli.demo.journal import Journal
from utd_rx.cli.demo.scenario import USERS

LANES: Final = ("connection_state", "my_seat", "can_publish", "microphone_enabled")
COLOURS: Final = {
    "connecting": "#f2b134",
    "reconnecting": "#f2b134",
    "connected": "#4c9f70",
    "yes": "#4c9f70",
    "forced exit": "#c8553d",
}
OTHER: Final = "#3a7ca5"
EMPTY: Final = "#f0f0f0"
MIN_LABELLED: Final = 0.09
"""Share of the width below which a bar is too narrow for its label."""


def draw_timeline(journal: Journal, path: Path, *, title: str) -> None:
    """Draw every user's lanes as bars of their values, and the levels, on one time axis."""
    end = journal.elapsed()
    figure, (lanes, levels) = pyplot.subplots(
        2, 1, figsize=(12, 8), sharex=True, height_ratios=(3, 1.2), layout="constrained"
    )
    rows = [(who, stream) for who in USERS for stream in LANES]
    for row, (who, stream) in enumerate(rows):
        lanes.barh(row, end, height=0.7, color=EMPTY, zorder=0)
        for since, until, value in journal.spans(who, stream):
            _draw_bar(lanes, row, since, until, _label(value), end)
    lanes.set_yticks(range(len(rows)), [f"{who}.{stream}" for who, stream in rows])
    lanes.set_ylim(len(rows) - 0.4, -0.6)
    for boundary in range(len(LANES), len(rows), len(LANES)):
        lanes.axhline(boundary - 0.5, color="#888888", linewidth=0.8)
    for remark in journal.remarks:
        lanes.axvline(remark.at, color="#999999", linewidth=0.7, zorder=1)
    text = "\n".join(f"{remark.at:5.2f} s  {remark.value}" for remark in journal.remarks)
    place = {"transform": lanes.transAxes, "va": "top"}
    lanes.text(1.01, 1.0, text, size=8, family="monospace", **place)
    for name, colour in (("sent", "#3a7ca5"), ("heard", "#c8553d")):
        entries = journal.levels.get(name, [])
        times, values = [entry.at for entry in entries], [entry.value for entry in entries]
        levels.plot(times, values, color=colour, label=name, linewidth=1.4)
    levels.set(ylabel="level, dBFS", xlabel="seconds", ylim=(-80, 0), xlim=(0, end))
    levels.grid(visible=True, alpha=0.3)
    levels.legend(loc="upper right")
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
        case "forceExit":
            return "forced exit"
        case _:
            return str(value)
