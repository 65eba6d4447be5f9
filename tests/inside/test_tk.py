"""A window of Tk, which has the main thread, shows a session and commands it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.xvfb import FakeScreen, is_screen_required, missing_screen


def missing() -> str | None:
    """Say what is missing for a window, None when nothing is."""
    try:
        import tkinter  # noqa: F401 - whether it is there, with its library
    except ImportError as error:
        return f"{error}; apt-get install --no-install-recommends python3-tk"
    return missing_screen()


@pytest.fixture
def display() -> Iterator[str]:
    if (why := missing()) is not None:
        (pytest.fail if is_screen_required() else pytest.skip)(why)
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
