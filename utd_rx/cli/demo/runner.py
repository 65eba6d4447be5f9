"""Runs a demo: engine, story, verdict, files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from utd_rx import WavSource
from utd_rx.audio import speech_path
from utd_rx.cli.demo.agent import AGENT
from utd_rx.cli.demo.call import CALL
from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.live import LIVE
from utd_rx.cli.demo.picture import draw_timeline
from utd_rx.cli.demo.report import Finding, write_report
from utd_rx.cli.demo.room import ROOM
from utd_rx.cli.demo.sound import file_of
from utd_rx.cli.demo.story import Findings, Story
from utd_rx.cli.demo.view import live_view
from utd_rx.cli.plain import json_line
from utd_rx.cli.progress import hush_livekit
from utd_rx.errors import UTDStreamException, invalid
from utd_rx.testing.witness import Witness, Witnessed

STORIES: Final = {story.name: story for story in (ROOM, CALL, LIVE, AGENT)}

TOO_BUSY: Final = 3
"""The exit status of a demo that could not be judged."""

MAX_LATE: Final = 0.03
"""Seconds that the machine may be late beside a demo which failed: what a demo does itself, on two
cores, makes less, and what a neighbour does to lose sound makes more."""


def results(story: Story) -> tuple[str, ...]:
    """Return the names of the files that a demo leaves."""
    return (*story.files, "report.json", "timeline.png")


def run_demo(story: Story, sfu: str, out: Path, wav: Path | None, *, as_json: bool = False) -> int:
    """Play the demo, write its `results` into `out`, and return the exit status.

    For a machine, one line of JSON is printed at the end, and the rest goes to standard error.
    """
    hush_livekit()
    console = Console(stderr=as_json)
    speech = WavSource(wav or speech_path())
    out.mkdir(parents=True, exist_ok=True)
    paths = [(out / name).absolute() for name in results(story)]
    if speech.path.resolve() in [path.resolve() for path in paths]:
        raise invalid(f"{wav} is what the demo writes, and would be lost: choose another --out")
    # A demo that fails must not leave the good news of an earlier one.
    for path in paths:
        path.unlink(missing_ok=True)
    journal = DemoJournal()
    with Witness() as witness:
        try:
            with live_view(story, journal, console):
                findings: Findings = asyncio.run(story.play(sfu, journal, speech, out.absolute()))
        except (UTDStreamException, TimeoutError) as error:
            seen = witness.look()
            if seen.worst <= MAX_LATE:
                raise
            console.print(f"it came to an end early: {error}", markup=False)
            return _too_busy(console, seen)
        seen = witness.look()
    for name, still in journal.stills.items():
        still.value.save(out / file_of(name, ".png"))
    verdicts = story.judge(journal, findings)
    is_kept = all(verdict.is_kept for verdict in verdicts)
    is_judged = is_kept or seen.worst <= MAX_LATE
    about = {
        "demo": story.name,
        "sfu": sfu,
        "sent_wav": str(speech.path),
        "machine": seen,
        "is_judged": is_judged,
        **findings.figures,
    }
    write_report(out / "report.json", about, journal, verdicts)
    title = f"utd-rx demo {story.name}" + (f" on the {sfu} SFU" if story.has_sfu else "")
    draw_timeline(story, journal, out / "timeline.png", title=title)
    _print(console, verdicts, [out / name for name in results(story)], is_judged=is_judged)
    if as_json:
        files = [str(path) for path in paths]
        print(json_line(is_kept=is_kept, is_judged=is_judged, verdicts=verdicts, files=files))
    if not is_judged:
        return _too_busy(console, seen)
    return 0 if is_kept else 1


def _too_busy(console: Console, seen: Witnessed) -> int:
    why = f"The machine was too busy to judge: {seen}. Try again when it has less to do."
    console.print(why, style="yellow", highlight=False)
    return TOO_BUSY


def _print(
    console: Console, verdicts: tuple[Finding, ...], written: list[Path], *, is_judged: bool
) -> None:
    broken = "[bold red]broken[/]" if is_judged else "[yellow]not judged[/]"
    table = Table(title="what was promised")
    for column in ("", "promise", "seen"):
        table.add_column(column)
    for verdict in verdicts:
        mark = "[green]kept[/]" if verdict.is_kept else broken
        table.add_row(mark, verdict.promise, verdict.detail)
    console.print(table)
    console.print(f"written: {', '.join(map(str, written))}")
