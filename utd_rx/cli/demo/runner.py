"""Runs a demo: engine, story, verdict, files."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from utd_rx import WavSource
from utd_rx.audio import speech_path
from utd_rx.cli.demo.call import CALL
from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.live import LIVE
from utd_rx.cli.demo.picture import draw_timeline
from utd_rx.cli.demo.report import Finding, write_report
from utd_rx.cli.demo.room import ROOM
from utd_rx.cli.demo.sound import file_of
from utd_rx.cli.demo.story import Findings, Story
from utd_rx.cli.demo.view import live_view
from utd_rx.errors import invalid

STORIES: Final = {story.name: story for story in (ROOM, CALL, LIVE)}


def results(story: Story) -> tuple[str, ...]:
    """Return the names of the files that a demo leaves."""
    return (*story.files, "report.json", "timeline.png")


def run_demo(story: Story, sfu: str, out: Path, wav: Path | None) -> int:
    """Play the demo, write its `results` into `out`, and return the exit status."""
    # LiveKit warns about the order in which it takes itself down at every leave, and logs an error
    # when that comes while it negotiates; the bare SDK does the same, and nothing is wrong.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    console = Console()
    speech = WavSource(wav or speech_path())
    out.mkdir(parents=True, exist_ok=True)
    paths = [(out / name).absolute() for name in results(story)]
    if speech.path.resolve() in [path.resolve() for path in paths]:
        raise invalid(f"{wav} is what the demo writes, and would be lost: choose another --out")
    # A demo that fails must not leave the good news of an earlier one.
    for path in paths:
        path.unlink(missing_ok=True)
    journal = DemoJournal()
    with live_view(story, journal, console):
        findings: Findings = asyncio.run(story.play(sfu, journal, speech, out.absolute()))
    for name, still in journal.stills.items():
        still.value.save(out / file_of(name, ".png"))
    verdicts = story.judge(journal, findings)
    about = {"demo": story.name, "sfu": sfu, "sent_wav": str(speech.path), **findings.figures}
    write_report(out / "report.json", about, journal, verdicts)
    title = f"utd-rx demo {story.name} on the {sfu} SFU"
    draw_timeline(story, journal, out / "timeline.png", title=title)
    _print(console, verdicts, [out / name for name in results(story)])
    return 0 if all(verdict.is_kept for verdict in verdicts) else 1


def _print(console: Console, verdicts: tuple[Finding, ...], written: list[Path]) -> None:
    table = Table(title="what was promised")
    for column in ("", "promise", "seen"):
        table.add_column(column)
    for verdict in verdicts:
        mark = "[green]kept[/]" if verdict.is_kept else "[bold red]broken[/]"
        table.add_row(mark, verdict.promise, verdict.detail)
    console.print(table)
    console.print(f"written: {', '.join(map(str, written))}")
