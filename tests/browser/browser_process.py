"""A browser to be driven from outside, which writes down where it listens."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_START_TIMEOUT: Final = 60.0


class BrowserProcess:
    """A browser with a profile of its own, and its helper processes.

    Attributes:
        told: What it wrote down.

    Args:
        command: What to run.
        folder: Where its log is kept.
        note: The file that says where it listens.
    """

    def __init__(self, command: Sequence[str], folder: Path, note: Path) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self.told = self._wait_for(note)
        except BaseException:
            self.close()
            raise

    def _wait_for(self, note: Path) -> str:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            if note.exists() and (text := note.read_text().strip()):
                return text
            time.sleep(0.05)
        log = self._log.read_text(errors="replace")
        raise AssertionError(f"{type(self).__name__} did not start:\n{log[-2000:]}")

    def close(self) -> None:
        """End the browser and its helper processes."""
        # The whole group, as its helpers outlive a killed browser process.
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
