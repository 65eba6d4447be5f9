"""`utd-rx join`, `record` and `token` as processes, on an engine that has left its note."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import pytest

from utd_rx.audio import read_wav
from utd_rx.cli import main
from utd_rx.cli.access import ACCESS, EngineAccess, EngineNote
from utd_rx.engine import LocalEngine


def leave_note(engine: LocalEngine) -> None:
    """As `utd-rx engine` does."""
    EngineNote().write(EngineAccess(*(getattr(engine, name) for name in ACCESS)))


async def until(process: Process, **wanted: object) -> dict[str, Any]:
    """Read lines of JSON until one has all this."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        told: dict[str, Any] = json.loads(line)
        assert told.get("event") != "refused", told
        if wanted.items() <= told.items():
            return told
    _, problems = await process.communicate()
    raise AssertionError(f"it ended without {wanted}: {problems.decode()}")


@pytest.mark.long
async def test_a_voice_is_recorded_and_ctrl_c_leaves_nothing(
    utd_engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    leave_note(utd_engine)

    async def utd_rx(*arguments: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "utd_rx", *arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd=Path(__file__).parents[2],
        )

    out = tmp_path / "out"
    recorder, speaker = await asyncio.gather(
        utd_rx("record", "friday", "--as", "tape", "--out", str(out), "--json"),
        utd_rx("join", "friday", "--host", "--as", "hana", "--microphone", "speech", "--json"),
    )
    await until(recorder, event="state")
    await until(speaker, state="connection_state", value="connected")
    assert speaker.stdin is not None
    speaker.stdin.write(b"0\n")
    track = await until(recorder, event="track")
    assert track["value"]["identity"] == "hana"
    await until(speaker, state="active_speakers", value=["hana"])
    speaker.send_signal(signal.SIGINT)
    assert await speaker.wait() == 130
    recorder.send_signal(signal.SIGINT)
    _, problems = await recorder.communicate()
    assert (recorder.returncode, problems) == (0, b"")
    _, samples = read_wav(Path(track["value"]["path"]))
    assert samples.any()
    assert (out / "session.jsonl").stat().st_size > 0


async def test_a_token_is_minted(
    utd_engine: LocalEngine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    leave_note(utd_engine)
    mint = ("token", "friday", "--as", "hana", "--host")
    assert await asyncio.to_thread(main, [*mint, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["room_name"], told["role"]) == ("friday", "host")
    assert told["url"] == utd_engine.livekit_url
    assert await asyncio.to_thread(main, mint) == 0
    assert capsys.readouterr().out.startswith("eyJ")
