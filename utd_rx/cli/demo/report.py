"""The verdict on a demo: what was heard, what came in which order; and the report of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

from utd_rx import AudioComparison
from utd_rx.cli.demo.journal import DemoJournal, Entry
from utd_rx.cli.demo.sight import Sighting

MIN_SNR_DB: Final = 3.0
"""Opus leaves about 10 dB of this voice; the jitter buffer stretches and squeezes time besides,
most of all in the first second on a busy machine, where 5 dB were seen."""

MAX_LOST_SHARE: Final = 0.15
"""Of the active sound; a machine busier than that plays no demo."""

MAX_OVERHANG: Final = 0.5
"""Seconds in which a track is taken down after what it needs went; sound stops at once."""

STOP_TIME: Final = 1.0
"""Seconds in which what is under way still arrives, and a pause in speech at the most."""

MIN_FRAMES: Final = 15
"""A second of pictures, at the least."""

MAX_MISSED_SHARE: Final = 0.3
"""Of the frames that were shown: who is busy gets the newest one, never a backlog."""

Step = tuple[str, str, object]
"""Who, which stream, and the value that it must have taken: of a list one that it must hold, or
the whole of it, as a list."""


@frozen
class Finding:
    promise: str
    is_kept: bool
    detail: str = ""


def connects(users: Iterable[str]) -> dict[str, tuple[Step, ...]]:
    """Promise that each connects once, and only leaves at the end."""
    return {
        f"{who} connects, stays and leaves": (
            (who, "connection_state", "connecting"),
            (who, "connection_state", "connected"),
            (who, "connection_state", "disconnected"),
        )
        for who in users
    }


def stays(journal: DemoJournal, who: str) -> Finding:
    """Promise that somebody was connected once, from the beginning to the end."""
    states = [entry.value for entry in journal.streams.get((who, "connection_state"), [])]
    once = ["disconnected", "connecting", "connected", "disconnected"]
    return Finding(f"{who} never reconnected", states == once, ", ".join(map(str, states)))


def hears(promise: str, comparison: AudioComparison) -> Finding:
    """Judge whether what was said was heard."""
    c = comparison
    is_audible = (
        c.is_match
        and c.snr_db is not None
        and c.snr_db >= MIN_SNR_DB
        and c.lost_seconds <= MAX_LOST_SHARE * c.compared_seconds
    )
    return Finding(promise, is_audible, describe(c))


def describe(comparison: AudioComparison) -> str:
    """Return the figures of a comparison in one line."""
    c = comparison
    if not c.is_match or c.delay is None or c.snr_db is None:
        return (
            f"not recognised in {c.heard_seconds:.1f} s of sound (correlation {c.correlation:.2f})"
        )
    return (
        f"delay {c.delay * 1e3:.0f} ms, correlation {c.correlation:.3f}, SNR {c.snr_db:.1f} dB, "
        f"lost {c.lost_seconds:.2f} of {c.compared_seconds:.2f} s"
    )


def sees(promise: str, seen: Sighting) -> Finding:
    """Judge whether the frames that were shown were seen, in their order."""
    readable = seen.frames - seen.unreadable
    is_visible = (
        readable >= MIN_FRAMES
        and not seen.disordered
        and seen.missed <= MAX_MISSED_SHARE * (readable + seen.missed)
    )
    if seen.delay is None:
        return Finding(promise, False, f"{seen.frames} frames, none with a number")
    return Finding(
        promise,
        is_visible,
        f"{readable} frames, delay {seen.delay * 1e3:.0f} ms, missed {seen.missed}, "
        f"out of order {seen.disordered}, without a number {seen.unreadable}",
    )


def stops(promise: str, at: float, *ends: list[float]) -> Finding:
    """Judge whether what went on until `at` ended then; `ends` are when there was some of it."""
    late = 0.0
    for times in ends:
        if not any(at - STOP_TIME <= time <= at for time in times):
            return Finding(promise, False, f"there was none before {at:.2f} s")
        late = max(late, max(times) - at)
    return Finding(promise, late <= STOP_TIME, f"the last {late * 1e3:.0f} ms after it")


def write_report(
    path: Path,
    about: Mapping[str, object],
    journal: DemoJournal,
    verdicts: tuple[Finding, ...],
) -> None:
    """Write figures, verdicts and every state stream with its times as JSON."""
    streams: dict[str, dict[str, list[Entry]]] = {}
    for (who, name), entries in journal.streams.items():
        streams.setdefault(who, {})[name] = entries
    report = {
        **about,
        "is_success": all(verdict.is_kept for verdict in verdicts),
        "verdicts": verdicts,
        "remarks": journal.remarks,
        "streams": streams,
        "levels_dbfs": journal.levels,
        "frames": journal.frames,
    }
    text = json.dumps(report, default=asdict, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def in_order(journal: DemoJournal, steps: tuple[Step, ...]) -> tuple[bool, str]:
    """Find each step no earlier than the one before it."""
    earliest, times = 0.0, []
    for who, stream, wanted in steps:
        entries = journal.streams.get((who, stream), ())
        held = [entry.at for entry in entries if _holds(entry.value, wanted)]
        at = next((at for at in held if at >= earliest), None)
        if at is None:
            return False, f"{who}.{stream} never became {wanted!r} after {earliest:.2f} s"
        earliest = at
        times.append(f"{at:.2f}")
    return True, "at " + ", ".join(times) + " s"


def covered(
    journal: DemoJournal,
    users: Iterable[str],
    needs: Mapping[str, object],
    media: tuple[str, ...] = ("microphone_enabled",),
) -> tuple[bool, str]:
    """Check that each of `media` was on only while each of `needs` held what it says, or, where
    it says None, anything but False and None.
    """
    longest, seconds = 0.0, 0.0
    for who, medium in product(users, media):
        for begin, end in spans(journal, who, medium):
            seconds += end - begin
            for need, wanted in needs.items():
                held = spans(journal, who, need, wanted)
                cover = next((span for span in held if span[0] <= begin < span[1]), None)
                if cover is None:
                    return False, f"{who} was on air at {begin:.2f} s without {need}"
                longest = max(longest, end - cover[1])
    detail = f"on air for {seconds:.1f} s, and for {longest * 1e3:.0f} ms after them at the most"
    return longest <= MAX_OVERHANG, detail


def spans(
    journal: DemoJournal, who: str, stream: str, wanted: object = None
) -> list[tuple[float, float]]:
    """Return when a stream held `wanted`, or, of None, a value other than False and None."""

    def counts(held: object) -> bool:
        return held == wanted if wanted is not None else held is not None and held is not False

    found = journal.spans(who, stream)
    return [(begin, end) for begin, end, held in found if counts(held)]


def _holds(value: object, wanted: object) -> bool:
    if isinstance(value, list):
        return value == wanted if isinstance(wanted, list) else wanted in value
    return value == wanted and type(value) is type(wanted)
