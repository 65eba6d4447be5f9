"""The verdict: did the sound arrive, and did the states come in the promised order?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

from utd_rx import AudioComparison, UTDErrorCode
from utd_rx.cli.demo.journal import Entry, Journal
from utd_rx.cli.demo.scenario import LISTENER, SEAT, SPEAKER, USERS, Heard

MIN_SNR_DB: Final = 3.0
"""Opus leaves about 10 dB of this voice; the jitter buffer stretches and squeezes time besides,
most of all in the first second on a busy machine, where 5 dB were seen."""

MAX_LOST_SHARE: Final = 0.15
"""Of the active sound; a machine busier than that plays no demo."""

MAX_OVERHANG: Final = 0.5
"""Seconds in which a track is taken down after its seat or grant went; sound stops at once."""

MAX_REFUSAL: Final = 1.0
"""Seconds; LiveKit itself takes 10 (docs/livekit.md, "Refused after ten seconds")."""

Step = tuple[str, str, object]

PROMISED: Final[Mapping[str, tuple[Step, ...]]] = {
    **{
        f"{who} connects, stays and leaves": (
            (who, "connection_state", "connecting"),
            (who, "connection_state", "connected"),
            (who, "connection_state", "disconnected"),
        )
        for who in USERS
    },
    "the seat comes before the microphone": (
        (SPEAKER, "connected", True),
        (SPEAKER, "my_seat", SEAT),
        (SPEAKER, "microphone_enabled", True),
        (SPEAKER, "microphone_enabled", False),
    ),
    "the grant comes before the microphone": (
        (SPEAKER, "can_publish", False),
        (SPEAKER, "can_publish", True),
        (SPEAKER, "microphone_enabled", True),
        (SPEAKER, "can_publish", False),
        (SPEAKER, "connected", False),
    ),
    "the listener sees the seat taken, the speaker speak, and both end": (
        (LISTENER, "seats", SPEAKER),
        (LISTENER, "remote_participants", f"{SPEAKER} speaks"),
        (LISTENER, "remote_participants", f"{SPEAKER} listens"),
        (LISTENER, "connected", False),
    ),
}
"""What must have happened in this order; of a list, that it holds the value."""


@frozen
class Verdict:
    promise: str
    is_kept: bool
    detail: str = ""


def judge(journal: Journal, heard: Heard, comparison: AudioComparison) -> tuple[Verdict, ...]:
    """Return every promise of the demo with its verdict."""
    c = comparison
    is_audible = (
        c.is_match
        and c.snr_db is not None
        and c.snr_db >= MIN_SNR_DB
        and c.lost_seconds <= MAX_LOST_SHARE * c.compared_seconds
    )
    return (
        Verdict("what was sent was heard", is_audible, describe(c)),
        Verdict(
            "publishing without a seat is refused at once",
            heard.refusal.code is UTDErrorCode.FORBIDDEN and heard.refused_after < MAX_REFUSAL,
            f"{heard.refusal.code.name} after {heard.refused_after * 1e3:.1f} ms",
        ),
        *(Verdict(promise, *_in_order(journal, steps)) for promise, steps in PROMISED.items()),
        Verdict("nobody is on air without seat and grant", *_covered(journal)),
    )


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


def write_report(
    path: Path,
    about: Mapping[str, str],
    journal: Journal,
    verdicts: tuple[Verdict, ...],
    heard: Heard,
    comparison: AudioComparison,
) -> None:
    """Write figures, verdicts and every state stream with its times as JSON."""
    streams: dict[str, dict[str, list[Entry]]] = {}
    for (who, name), entries in journal.streams.items():
        streams.setdefault(who, {})[name] = entries
    report = {
        **about,
        "is_success": all(verdict.is_kept for verdict in verdicts),
        "audio": comparison,
        "refused_after": heard.refused_after,
        "verdicts": verdicts,
        "remarks": journal.remarks,
        "streams": streams,
        "levels_dbfs": journal.levels,
    }
    text = json.dumps(report, default=asdict, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _in_order(journal: Journal, steps: tuple[Step, ...]) -> tuple[bool, str]:
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


def _covered(journal: Journal) -> tuple[bool, str]:
    """Check that every user's microphone was on only while seated and granted."""
    longest = 0.0
    for who in USERS:
        for begin, end in _spans(journal, who, "microphone_enabled"):
            for need in ("my_seat", "can_publish"):
                spans = _spans(journal, who, need)
                cover = next((span for span in spans if span[0] <= begin < span[1]), None)
                if cover is None:
                    return False, f"{who} was on air at {begin:.2f} s without {need}"
                longest = max(longest, end - cover[1])
    is_kept = longest <= MAX_OVERHANG
    return is_kept, f"the microphone ended {longest * 1e3:.0f} ms after them at the latest"


def _spans(journal: Journal, who: str, stream: str) -> list[tuple[float, float]]:
    """Return when a stream held a value other than False and None."""
    spans = journal.spans(who, stream)
    return [(begin, end) for begin, end, held in spans if held is not None and held is not False]


def _holds(value: object, wanted: object) -> bool:
    if isinstance(value, list):
        return wanted in value
    return value == wanted and type(value) is type(wanted)
