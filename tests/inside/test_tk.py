"""A window of Tk, which has the main thread, shows a session and commands it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.xvfb import FakeScreen, is_screen_required, missing_screen

MISSING = missing_screen() or (None if find_spec("_tkinter") else "this Python has no tkinter")


@pytest.fixture
def display() -> Iterator[str]:
    if MISSING is not None:
        (pytest.fail if is_screen_required() else pytest.skip)(MISSING)
    screen = FakeScreen(320, 200)
    screen.start()
    yield screen.display
    screen.stop()


def test_a_window_shows_and_commands_a_session(display: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-m", "tests.inside.tk_program"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "DISPLAY": display},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines() == [
        "shown: - me - -",
        "over: <UTDAudioRoomSession 'room' as 'me', closed>",
    ]
    assert (done.stderr, done.returncode) == ("", 0)
