"""A screen without a monitor: an X server whose picture a test writes.

`-fbdir` maps the server's frame buffer into a file, an XWD image, so nothing has to be drawn
through X.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from utd_rx.models.video import Pixels

INSTALL: Final = "apt-get install --no-install-recommends xvfb"


def missing_screen() -> str | None:
    """Say what is missing for tests on a screen, None when nothing is."""
    return None if shutil.which("Xvfb") else f"Xvfb not found; {INSTALL}"


def is_screen_required() -> bool:
    """Say whether that is a failure, as in CI, and not a reason to skip."""
    return os.environ.get("UTD_RX_REQUIRE_SCREEN") == "1"


class FakeScreen:
    """An X server of its own, on a number that it chooses."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self.folder = Path(tempfile.mkdtemp(prefix="utd-rx-xvfb-"))
        self.display = ""
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, the next time on the same number, and wait until it answers."""
        width, height = self.size
        reading, writing = os.pipe()
        command = ["Xvfb", *filter(None, [self.display]), "-displayfd", str(writing)]
        command += ["-screen", "0", f"{width}x{height}x24", "-fbdir", str(self.folder)]
        command += ["-nolisten", "tcp", "-noreset"]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(command, pass_fds=[writing], stdout=log, stderr=log)
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            number = answer.readline().strip()
        if not number:
            raise RuntimeError((self.folder / "log").read_text())
        self.display = f":{number.decode()}"

    def kill(self) -> None:
        """End the server, as a crash would; its windows and whoever looks at it lose it."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None
            Path(f"/tmp/.X{self.display[1:]}-lock").unlink(missing_ok=True)
            Path(f"/tmp/.X11-unix/X{self.display[1:]}").unlink(missing_ok=True)

    def stop(self) -> None:
        """End the server for good."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def show(self, picture: Pixels, left: int = 0, top: int = 0) -> None:
        """Have the screen show a picture, uint8 RGB."""
        height, width = picture.shape[:2]
        bgrx = np.zeros((height, width, 4), np.uint8)
        bgrx[..., :3] = picture[..., ::-1]
        path = self.folder / "Xvfb_screen0"
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as buffer:
            # XWDFile.h: header_size first, bytes_per_line the 13th, ncolors the 20th of the words;
            # an entry of the colour map has 12 bytes.
            words = struct.unpack(">25I", buffer[:100])
            offset, line = words[0] + 12 * words[19], words[12]
            for row in range(height):
                begin = offset + (top + row) * line + 4 * left
                buffer[begin : begin + 4 * width] = bgrx[row].tobytes()
