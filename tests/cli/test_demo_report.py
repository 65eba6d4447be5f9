"""The verdict of `utd-rx demo` can say no: each promise has a history that breaks it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from utd_rx import (
    AudioComparison,
    AudioFrame,
    ToneSource,
    UTDErrorCode,
    UTDStreamException,
    WavSource,
)
from utd_rx.audio import speech_path
from utd_rx.cli import main
from utd_rx.cli.demo import runner, story
from utd_rx.cli.demo.journal import DemoJournal, Entry
from utd_rx.cli.demo.picture import draw_timeline
from utd_rx.cli.demo.report import Finding, write_report
from utd_rx.cli.demo.room import LISTENER, ROOM, SEAT, SPEAKER, USERS, Heard, judge
from utd_rx.cli.demo.sound import Speech
from utd_rx.testing.witness import Witnessed

CLEAR = AudioComparison(
    is_match=True, offset=0.0, delay=0.05, delay_min=0.05, delay_max=0.05, correlation=0.95,
    snr_db=9.0, gain_db=0.0, sent_seconds=4.0, heard_seconds=4.0, sent_level_dbfs=-16.0,
    heard_level_dbfs=-16.0, compared_seconds=2.7, lost_seconds=0.0, outside_seconds=0.0,
)  # fmt: skip
HEARD = Heard(CLEAR, UTDStreamException("no", code=UTDErrorCode.FORBIDDEN), 0.002)


def journal() -> DemoJournal:
    """Return the journal of a demo in which everything went as promised."""
    streams: dict[tuple[str, str], list[Entry]] = {}
    for who in USERS:
        states = ("disconnected", "connecting", "connected", "disconnected")
        streams[who, "connection_state"] = [Entry(float(i), v) for i, v in enumerate(states)]
        streams[who, "connected"] = [Entry(0, False), Entry(2, True), Entry(9, False)]
        streams[who, "can_publish"] = [Entry(0, False)]
        streams[who, "my_seat"] = [Entry(0, None)]
        streams[who, "microphone_enabled"] = [Entry(0, False)]
    streams[SPEAKER, "my_seat"] += [Entry(3, SEAT), Entry(7, None)]
    streams[SPEAKER, "can_publish"] += [Entry(3, True), Entry(7, False)]
    streams[SPEAKER, "microphone_enabled"] += [Entry(4, True), Entry(7.01, False)]
    streams[LISTENER, "seats"] = [Entry(2, [None]), Entry(3, [SPEAKER]), Entry(7, [None])]
    streams[LISTENER, "remote_participants"] = [
        Entry(4, [f"{SPEAKER} speaks"]),
        Entry(7.1, [f"{SPEAKER} listens"]),
    ]
    return DemoJournal(now=lambda: 10.0, began_at=0.0, streams=streams)


def broken(verdicts: tuple[Finding, ...]) -> list[str]:
    return [verdict.promise for verdict in verdicts if not verdict.is_kept]


def test_a_good_demo_keeps_every_promise() -> None:
    assert broken(judge(journal(), HEARD)) == []


@pytest.mark.parametrize(
    "comparison",
    [
        evolve(CLEAR, is_match=False),
        evolve(CLEAR, snr_db=1.0),
        evolve(CLEAR, lost_seconds=1.0),
        evolve(CLEAR, snr_db=None),
    ],
)
def test_sound_that_did_not_arrive_is_told(comparison: AudioComparison) -> None:
    assert broken(judge(journal(), evolve(HEARD, comparison=comparison))) == [
        "what was sent was heard"
    ]


def test_a_slow_or_another_refusal_is_told() -> None:
    promise = ["publishing without a seat is refused at once"]
    assert broken(judge(journal(), evolve(HEARD, refused_after=10.0))) == promise
    timeout = UTDStreamException("late", code=UTDErrorCode.TIMEOUT)
    assert broken(judge(journal(), evolve(HEARD, refusal=timeout))) == promise


def test_a_microphone_that_outlives_its_grant_is_told() -> None:
    story = journal()
    story.streams[SPEAKER, "microphone_enabled"][-1] = Entry(8.5, False)
    assert broken(judge(story, HEARD)) == ["nobody is on air without seat and grant"]


def test_a_microphone_before_its_seat_is_told() -> None:
    story = journal()
    story.streams[SPEAKER, "microphone_enabled"].insert(1, Entry(2.5, True))
    story.streams[SPEAKER, "microphone_enabled"].insert(2, Entry(2.7, False))
    assert broken(judge(story, HEARD)) == ["nobody is on air without seat and grant"]


def test_a_state_that_never_came_is_told() -> None:
    story = journal()
    story.streams[SPEAKER, "my_seat"] = [Entry(0, None)]
    assert "the seat comes before the microphone" in broken(judge(story, HEARD))


def test_the_report_holds_figures_verdicts_and_every_stream(tmp_path: Path) -> None:
    story, verdicts = journal(), judge(journal(), HEARD)
    story.say("done")
    path = tmp_path / "report.json"
    sent = tmp_path / "sent.wav"
    about = {"sfu": "embedded", "sent_wav": str(sent), **HEARD.figures}
    write_report(path, about, story, verdicts)
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["sent_wav"] == str(sent)
    assert report["is_success"] is True
    assert report["audio"]["snr_db"] == 9.0
    assert report["streams"][SPEAKER]["my_seat"][1] == {"at": 3.0, "value": SEAT}
    assert report["remarks"] == [{"at": 10.0, "value": "done"}]
    draw_timeline(ROOM, story, tmp_path / "timeline.png", title="test")
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_written_is_said_plainly(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--out", "/proc/nope"]) == 1
    assert "choose --out" in capsys.readouterr().err


@pytest.mark.parametrize("name", runner.STORIES)
def test_a_demo_that_fails_leaves_nothing_of_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def fail(*_: object) -> Heard:
        raise UTDStreamException("no", code=UTDErrorCode.TIMEOUT)

    monkeypatch.setattr(runner, "Witness", lambda: FakeWitness(0.0))
    story = evolve(runner.STORIES[name], play=fail)
    monkeypatch.setitem(runner.STORIES, name, story)
    for file in (*runner.results(story), "notes.txt"):
        (tmp_path / file).write_text("of an earlier demo")
    assert main(["demo", name, "--out", str(tmp_path)]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


class FakeWitness:
    """One that saw how late this machine was."""

    def __init__(self, late: float) -> None:
        self._late = late

    def __enter__(self) -> FakeWitness:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def look(self) -> Witnessed:
        return Witnessed(self._late, 0.0)


@pytest.mark.parametrize(
    ("snr", "late", "status", "verdict"),
    [
        (9.0, 0.0, 0, "kept"),
        (9.0, 0.5, 0, "kept"),
        (0.0, 0.0, 1, "broken"),
        (0.0, 0.5, runner.TOO_BUSY, "not judged"),
        (None, 0.0, 1, "waited too long"),
        (None, 0.5, runner.TOO_BUSY, "too busy to judge: timer 500 ms late"),
    ],
)
def test_a_promise_that_a_busy_machine_broke_is_not_judged(
    snr: float | None,
    late: float,
    status: int,
    verdict: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def play(_: str, told: DemoJournal, *__: object) -> Heard:
        if snr is None:
            raise TimeoutError("lena to hear sami")
        told.streams.update(journal().streams)
        return evolve(HEARD, comparison=evolve(CLEAR, snr_db=snr))

    monkeypatch.setitem(runner.STORIES, "room", evolve(ROOM, play=play))
    monkeypatch.setattr(runner, "Witness", lambda: FakeWitness(late))
    monkeypatch.setattr(runner, "draw_timeline", lambda *_, **__: None)
    assert main(["demo", "--out", str(tmp_path), "--json"]) == status
    printed = capsys.readouterr()
    assert verdict in " ".join((printed.out + printed.err).split())
    if snr is not None:
        told = json.loads(printed.out)
        assert told["is_kept"] == (snr > 0)
        assert str(tmp_path / "heard.wav") in told["files"]
        report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
        assert report["is_judged"] == (status != runner.TOO_BUSY)
        assert report["machine"]["timer"] == late


def test_what_an_earlier_demo_heard_is_no_microphone_for_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = tmp_path / "heard.wav"
    heard.write_bytes(speech_path().read_bytes())
    assert main(["demo", "--out", str(tmp_path), "--wav", str(heard)]) == 1
    assert "choose another --out" in capsys.readouterr().err
    assert heard.exists()


def test_sound_began_when_its_earliest_frame_says() -> None:
    """Later ones may be late, or follow a stall that left some of them out."""
    meter = DemoJournal(began_at=0.0).meter("sent")
    for at in (1.03, 1.01, 1.05, 1.12, 1.13, 1.14):
        meter(AudioFrame(np.zeros((480, 1), np.int16), 48_000, at))
    assert meter.began_at == pytest.approx(1.0)


async def test_speech_is_waited_for_by_the_clock(tmp_path: Path) -> None:
    """A stall leaves some of it out, and it does not take longer for that."""
    frames = [AudioFrame(np.zeros((480, 1), np.int16), 48_000, at) for at in (1.0, 1.01, 1.5)]
    one = Speech(DemoJournal(began_at=0.0), ROOM.ways[0], ToneSource(440), tmp_path)
    waiting = asyncio.create_task(one.until_said(0.5))
    await asyncio.sleep(0)
    for number, frame in enumerate(frames):
        one.mouth.tap(frame)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert waiting.done() == (number == 2)


async def test_a_sound_is_waited_for_as_long_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "PATIENCE", 0.0)
    over = asyncio.Event()
    asyncio.get_running_loop().call_soon(over.set)
    await story.until_over(over, WavSource(speech_path()))
    assert over.is_set()
