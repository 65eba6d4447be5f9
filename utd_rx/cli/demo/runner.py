"""Runs the demo: engine, story, verdict, files."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

import soxr
from rich.console import Console
from rich.table import Table

from utd_rx import AudioComparison, WavSource, compare
from utd_rx.audio import read_wav, speech_path
from utd_rx.cli.demo.journal import Journal
from utd_rx.cli.demo.picture import draw_timeline
from utd_rx.cli.demo.report import Verdict, judge, write_report
from utd_rx.cli.demo.scenario import Heard, play
from utd_rx.cli.demo.view import live_view
from utd_rx.errors import invalid

RESULTS: Final = ("heard.wav", "report.json", "timeline.png")


def run_demo(sfu: str, out: Path, wav: Path | None) -> int:
    """Play the demo, write `RESULTS` into `out`, and return the exit status."""
    # LiveKit warns about the order in which it takes itself down at every leave; the bare SDK does
    # the same, and nothing can be done about it.
    logging.getLogger("livekit").setLevel(logging.ERROR)
    console = Console()
    sent_wav = (wav or speech_path()).absolute()
    microphone = WavSource(sent_wav)
    out.mkdir(parents=True, exist_ok=True)
    heard_wav = (out / "heard.wav").absolute()
    results = [out / name for name in RESULTS]
    if sent_wav.resolve() in [path.resolve() for path in results]:
        raise invalid(f"{wav} is what the demo writes, and would be lost: choose another --out")
    # A demo that fails must not leave the good news of an earlier one.
    for path in results:
        path.unlink(missing_ok=True)
    journal = Journal()
    with live_view(journal, console):
        heard = asyncio.run(play(sfu, journal, microphone, heard_wav))
    comparison = _compare(sent_wav, heard_wav, heard)
    verdicts = judge(journal, heard, comparison)
    about = {"sfu": sfu, "sent_wav": str(sent_wav), "heard_wav": str(heard_wav)}
    write_report(out / "report.json", about, journal, verdicts, heard, comparison)
    draw_timeline(journal, out / "timeline.png", title=f"utd-rx demo on the {sfu} SFU")
    _print(console, verdicts, out)
    return 0 if all(verdict.is_kept for verdict in verdicts) else 1


def _compare(sent_wav: Path, heard_wav: Path, heard: Heard) -> AudioComparison:
    sent_format, sent = read_wav(sent_wav)
    heard_format, samples = read_wav(heard_wav)
    rate = heard_format.sample_rate
    if sent_format.sample_rate != rate:
        sent = soxr.resample(sent, sent_format.sample_rate, rate)
    return compare(
        sent,
        samples,
        rate,
        sent_started_at=heard.sent_started_at,
        heard_started_at=heard.heard_started_at,
        min_delay=0.0,
    )


def _print(console: Console, verdicts: tuple[Verdict, ...], out: Path) -> None:
    table = Table(title="what was promised")
    for column in ("", "promise", "seen"):
        table.add_column(column)
    for verdict in verdicts:
        mark = "[green]kept[/]" if verdict.is_kept else "[bold red]broken[/]"
        table.add_row(mark, verdict.promise, verdict.detail)
    console.print(table)
    console.print(f"written: {', '.join(str(out / name) for name in RESULTS)}")
