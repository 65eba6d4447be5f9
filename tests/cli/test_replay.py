"""`utd-rx replay`: what a recording holds, for a reader and for a machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from utd_rx import record
from utd_rx.cli import main
from utd_rx.testing import FakeWorld


@pytest.fixture
def recording(utd_world: FakeWorld, tmp_path: Path) -> Path:
    room = utd_world.join_audio_room("hana", "friday", host=True, seats=3)
    path = tmp_path / "session.jsonl"

    async def play() -> None:
        async with record(room, path):
            await room.take_seat(1, microphone=False)
            await room.leave_seat()

    utd_world.run(play())
    return path


def test_it_tells_what_changed_and_when(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(recording), "--speed", "inf"]) == 0
    seats = [line for line in capsys.readouterr().out.splitlines() if "seats: " in line]
    assert [line.split("seats: ")[1] for line in seats] == ["·, ·, ·", "·, hana, ·", "·, ·, ·"]
    assert seats[0].startswith("   0.00 s  ")


def test_a_machine_reads_it_too(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(recording), "--speed", "inf", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    mine = [one["value"] and one["value"]["index"] for one in told if one["state"] == "my_seat"]
    assert mine == [None, 1, None]


def test_what_is_no_recording_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello\n")
    assert main(["replay", str(path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "none")]) == 2
