"""The verdict of `utd-rx demo call` can say no: each promise has a history that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from utd_rx import AudioComparison, IncomingCall, UTDStreamType
from utd_rx.cli.demo.call import (
    CALL,
    CALLEE,
    CALLER,
    MAX_ANSWER,
    MAX_RINGING,
    SUBJECT,
    USERS,
    Talk,
    judge,
    words,
)
from utd_rx.cli.demo.journal import DemoJournal, Entry
from utd_rx.cli.demo.picture import draw_timeline
from utd_rx.cli.demo.report import MAX_OVERHANG
from utd_rx.cli.demo.sound import LEAD
from utd_rx.models.frozen_map import FrozenMap

CLEAR = AudioComparison(
    is_match=True, offset=0.0, delay=0.05, delay_min=0.05, delay_max=0.05, correlation=0.95,
    snr_db=9.0, gain_db=0.0, sent_seconds=4.0, heard_seconds=4.0, sent_level_dbfs=-16.0,
    heard_level_dbfs=-16.0, compared_seconds=2.7, lost_seconds=0.0, outside_seconds=0.0,
)  # fmt: skip
INCOMING = IncomingCall(
    "call_1", UTDStreamType.AUDIO_CALL, CALLER, "Anna", FrozenMap({"subject": SUBJECT})
)
TALK = Talk(INCOMING, 0.05, CLEAR, CLEAR, ())

REMARKS = {
    "rings": f"{CALLEE}'s phone rings within {MAX_RINGING:g} s",
    "shows": "it shows who calls, and about what",
    "anna": "anna sees it ring, active and ended",
    "ben": "ben sees it ring, active and ended",
    "both active": "both are in the call",
    "on air": "nobody is on air before and after it",
    "ben heard": "ben heard anna",
    "anna heard": "anna heard ben",
    "both ended": "both ended",
    "reason": "… for the same reason",
    "left": "nobody is left in the room",
}


def journal() -> DemoJournal:
    """Return the journal of a call in which everything went as promised."""
    streams: dict[tuple[str, str], list[Entry]] = {}
    for who in USERS:
        states = ("disconnected", "connecting", "connected", "disconnected")
        streams[who, "connection_state"] = [Entry(2.0 * i, v) for i, v in enumerate(states)]
        streams[who, "status"] = [
            *(Entry(0, None), Entry(1, "initiating"), Entry(2, "ringing")),
            *(Entry(3, "active"), Entry(6, "ended")),
        ]
        streams[who, "microphone_enabled"] = [Entry(0, False), Entry(3, True), Entry(6, False)]
        streams[who, "end_reason"] = [Entry(0, None), Entry(6, "caller_hangup")]
    return DemoJournal(now=lambda: 10.0, began_at=0.0, streams=streams)


def broken(story: DemoJournal, talk: Talk = TALK) -> list[str]:
    return [verdict.promise for verdict in judge(story, talk) if not verdict.is_kept]


def test_a_good_call_keeps_every_promise() -> None:
    assert broken(journal()) == []
    assert {verdict.promise for verdict in judge(journal(), TALK)} >= set(REMARKS.values())


@pytest.mark.parametrize(
    ("talk", "promise"),
    [
        (evolve(TALK, rang_after=MAX_RINGING + 0.1), "rings"),
        (evolve(TALK, incoming=evolve(INCOMING, metadata=FrozenMap())), "shows"),
        (evolve(TALK, incoming=evolve(INCOMING, caller_name=None)), "shows"),
        (evolve(TALK, heard_by_ben=evolve(CLEAR, is_match=False)), "ben heard"),
        (evolve(TALK, heard_by_anna=evolve(CLEAR, snr_db=1.0)), "anna heard"),
        (evolve(TALK, left_behind=("call_1",)), "left"),
    ],
)
def test_what_went_wrong_is_told(talk: Talk, promise: str) -> None:
    assert broken(journal(), talk) == [REMARKS[promise]]


def late(seconds: float) -> Callable[[list[Entry]], None]:
    """Let a stream's last value come later."""

    def change(entries: list[Entry]) -> None:
        entries[-1] = evolve(entries[-1], at=entries[-1].at + seconds)

    return change


@pytest.mark.parametrize(
    ("who", "stream", "change", "promises"),
    [
        (CALLER, "status", late(MAX_ANSWER + 0.1), ["both ended"]),
        (CALLEE, "status", lambda entries: entries.pop(), ["ben", "both ended"]),
        (CALLER, "status", lambda entries: entries.pop(2), ["anna"]),
        (CALLEE, "microphone_enabled", late(MAX_OVERHANG + 0.1), ["on air"]),
        (
            CALLER,
            "microphone_enabled",
            lambda entries: entries.insert(1, Entry(2, True)),
            ["on air"],
        ),
        (CALLEE, "end_reason", lambda entries: entries.append(Entry(7, "lost")), ["reason"]),
    ],
)
def test_a_state_that_is_not_as_promised_is_told(
    who: str, stream: str, change: Callable[[list[Entry]], object], promises: list[str]
) -> None:
    story = journal()
    change(story.streams[who, stream])
    assert broken(story) == [REMARKS[promise] for promise in promises]


def test_one_speaks_while_the_other_is_silent() -> None:
    """And each has something to say."""
    speech = np.arange(1, 1001, dtype=np.int16)[:, np.newaxis]
    first, second = words(speech, 100)
    lead, half = round(LEAD * 100), round(LEAD * 100) + len(speech)
    assert len(first) == len(second) == half + len(speech)
    assert (first[lead:half] == speech).all()
    assert (second[half:] == speech[::-1]).all()
    assert not any(silent.any() for silent in (first[:lead], first[half:], second[:half]))


def test_the_picture_has_both_ways_of_the_sound(tmp_path: Path) -> None:
    path = tmp_path / "timeline.png"
    draw_timeline(CALL, journal(), path, title="test")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert CALL.files == ("ben-hears.wav", "anna-hears.wav")
