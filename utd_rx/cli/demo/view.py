"""The live view in a terminal; plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.story import Story

REFRESH_PER_SECOND: Final = 8
"""Drawing holds the GIL, which the audio needs too."""
LOG_LINES: Final = 8
METER_FLOOR: Final = -60.0
METER_WIDTH: Final = 36
NARROW: Final = 90
"""Columns of a terminal in which a column for each stream has no room for its words."""

STYLE: Final[dict[object, str]] = {
    **dict.fromkeys(("connected", "active"), "green"),
    **dict.fromkeys(("connecting", "reconnecting", "initiating", "ringing"), "yellow"),
    **dict.fromkeys(("disconnected", "ended"), "dim"),
    "forceExit": "red",
}


@contextmanager
def live_view(story: Story, journal: DemoJournal, console: Console) -> Iterator[None]:
    """Show the journal while it is written: as a picture on a terminal, otherwise as lines."""
    if not console.is_terminal:
        journal.listeners.append(
            lambda remark: console.print(f"{journal.elapsed():6.2f} s  {remark}", highlight=False)
        )
        yield
        return
    # Drawn by rich's own thread, which only reads: lists that grow at their end.
    with Live(
        get_renderable=lambda: draw(story, journal, console.width),
        console=console,
        refresh_per_second=REFRESH_PER_SECOND,
    ):
        yield


def draw(story: Story, journal: DemoJournal, width: int) -> RenderableType:
    """Draw how a demo stands, for a terminal of 50 columns and more."""
    title = f"utd_rx demo {story.name}   {journal.elapsed():5.1f} s"
    levels = Table.grid(padding=(0, 1))
    for name in (name for way in story.ways for name in (way.begin, *way.ends)):
        entries = journal.levels.get(name)
        level = entries[-1].value if entries else METER_FLOOR
        meter = min(METER_WIDTH, width - 24)
        bar = ProgressBar(-METER_FLOOR, max(level - METER_FLOOR, 0.0), meter)
        levels.add_row(f"{name:>10}", bar, f"{level:6.1f} dBFS")
    for name in (name for way in story.sights for name in way.ends):
        frames = journal.frames.get(name)
        levels.add_row(name, "", f"frame {frames[-1].value}" if frames else "")
    lines = [f"{entry.at:6.2f} s  {entry.value}" for entry in journal.remarks[-LOG_LINES:]]
    events = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
    log = Panel(events, title="events", height=LOG_LINES + 2)
    return Group(_streams(story, journal, title, is_narrow=width < NARROW), levels, log)


def _streams(story: Story, journal: DemoJournal, title: str, *, is_narrow: bool) -> Table:
    """Lay out users and their streams: a row each of what there is less of, where that fits."""
    table = Table(expand=True, title=title)
    cells = {
        heading: [_cell(journal.latest(who, stream)) for who in story.users]
        for heading, stream in story.columns.items()
    }
    if is_narrow:
        for column in ("", *story.users):
            table.add_column(column)
        for heading, row in cells.items():
            table.add_row(heading, *row)
        return table
    for column in ("user", *story.columns):
        table.add_column(column)
    for number, who in enumerate(story.users):
        table.add_row(who, *(column[number] for column in cells.values()))
    return table


def _cell(value: object) -> Text:
    match value:
        case None | []:
            return Text("-")
        case bool():
            return Text("yes", style="green") if value else Text("no", style="dim")
        case list():
            return Text(", ".join(str(one or "·") for one in value))
        case _:
            return Text(str(value), style=STYLE.get(value, ""))
