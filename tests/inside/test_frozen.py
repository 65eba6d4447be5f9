"""A program in one piece, by PyInstaller: the hooks are found, and nothing starts it once more."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.inside.frameworks import need
from tests.inside.programs import ROOT
from tests.support.pulse import missing_audio
from tests.support.sfu import is_livekit_missing
from utd_rx import UTDErrorCode, UTDStreamException, list_devices
from utd_rx.engine import EngineOptions, LocalEngine
from utd_rx.testing.witness import Witness

BOT = """
import asyncio, json, sys
from utd_rx import ToneSource, UTDStreamClient

async def main(base_url, app_id, app_key):
    client = UTDStreamClient(
        app_id, app_key, base_url=base_url, token_base_url=base_url, microphone=ToneSource(440)
    )
    async with client, await client.join_audio_room(
        "bot", "lobby", as_host=True, seat_count=2
    ) as room:
        await room.take_seat(0)
        await room.microphone_enabled.until(True)
        print(json.dumps([room.my_seat.value.index, getattr(sys, "frozen", False)]), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


NOT_THERE = ("IPython", "PIL", "av", "hypothesis", "pandas", "pydantic", "rich", "sphinx")
"""What the environment of these tests has and none in which utd_rx was installed: packages that
others look for and may do without, with half of all packages behind them."""


def entry_point(folder: Path) -> None:
    """Announce the hooks as the project's package does, whether it is installed or not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [(name, value)] = project["entry-points"]["pyinstaller40"].items()
    info = folder / "announced-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: announced\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[pyinstaller40]\n{name} = {value}\n")


@pytest.mark.long
@pytest.mark.timeout(900)  # it looks through every package behind the program's
async def test_a_bot_of_twenty_lines_is_built_without_an_option_and_runs(tmp_path: Path) -> None:
    need("PyInstaller")
    (tmp_path / "bot.py").write_text(BOT)
    entry_point(tmp_path / "site")
    builder = (sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR")
    build = await asyncio.create_subprocess_exec(
        *builder,
        *(f"--exclude-module={name}" for name in NOT_THERE),
        "bot.py",
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": f"{ROOT}:site"},
    )
    assert await build.wait() == 0
    async with LocalEngine() as engine:
        bot = await asyncio.create_subprocess_exec(
            *(str(tmp_path / "dist/bot/bot"), engine.base_url, engine.app_id, engine.app_key),
            env={},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        said, complaint = await bot.communicate()
    assert complaint == b""
    assert json.loads(said) == [0, True]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A frozen program's executable, and where it notes that it was started once more."""
    note, program = tmp_path / "started", tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $@ >> {note}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(program))
    return note


@pytest.mark.skipif(missing_audio() is not None, reason="no PortAudio here")
def test_to_list_devices_starts_no_program(started: Path, caplog: pytest.LogCaptureFixture) -> None:
    list_devices()
    assert not started.exists()
    assert "another process could not look for devices" in caplog.text


@pytest.mark.skipif(is_livekit_missing(), reason="no livekit-server here")
async def test_an_engine_on_livekit_starts_that_and_no_program(started: Path) -> None:
    async with LocalEngine(EngineOptions(sfu="livekit")) as engine:
        assert engine.base_url
    assert [*started.parent.glob("started")] == []


def test_a_witness_is_refused(started: Path) -> None:
    with pytest.raises(UTDStreamException, match="frozen") as raised:
        Witness().start()
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED
    assert not started.exists()
