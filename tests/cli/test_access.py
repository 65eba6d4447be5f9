"""Where a command finds an engine: in the environment, or in the note of one that runs here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from utd_rx.cli.access import APP_ID, APP_KEY, EngineAccess, EngineNote, find_access, guest
from utd_rx.errors import UTDErrorCode, UTDStreamException

LEFT = EngineAccess("1", "k" * 32, "http://127.0.0.1:1", "http://127.0.0.1:2")

NEWER = EngineAccess("2", "l" * 32, "http://127.0.0.1:3", "http://127.0.0.1:3")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path)}


def test_the_newest_engine_that_runs_here_is_found(environ: dict[str, str]) -> None:
    note, newer = EngineNote(environ), EngineNote(environ, os.getppid())
    note.write(LEFT)
    os.utime(note.path, (1, 1))
    newer.write(NEWER)
    assert find_access(environ=environ) == NEWER
    newer.remove()
    newer.remove()
    assert find_access(environ=environ) == LEFT
    assert note.path.stat().st_mode & 0o077 == 0
    note.remove()
    assert note.read() is None
    assert list(note.path.parent.iterdir()) == []


def test_a_note_of_a_process_that_is_gone_is_none(environ: dict[str, str]) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    note = EngineNote(environ, gone.pid)
    note.write(LEFT)
    with pytest.raises(UTDStreamException, match="utd-rx engine") as caught:
        find_access(environ=environ)
    assert caught.value.code is UTDErrorCode.VALIDATION


@pytest.mark.parametrize("text", ["", "[]", "{}", "1", "\ufffd"])
def test_a_note_that_is_none_is_passed_over(environ: dict[str, str], text: str) -> None:
    note = EngineNote(environ)
    note.path.parent.mkdir(parents=True)
    note.path.write_text(text)
    assert note.read() is None
    note.remove()


def test_the_environment_goes_first(environ: dict[str, str]) -> None:
    EngineNote(environ).write(LEFT)
    app = {**environ, APP_ID: "7", APP_KEY: "secret"}
    assert find_access(environ=app) == EngineAccess("7", "secret")
    assert find_access("https://a", environ=app) == EngineAccess(
        "7", "secret", "https://a", "https://a"
    )
    assert find_access("https://a", "https://b", environ).token_base_url == "https://b"
    assert "secret" not in repr(EngineAccess("7", "secret"))


def test_two_guests_are_two() -> None:
    assert guest() != guest()
