"""A child ends when its app does, though it hangs natively and holds the GIL."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.processes import kill_all, until_ended
from utd_rx.testing.contracts import PATIENCE

APP = """
import asyncio, sys
from tests.media.hanging import Hanging
from utd_rx.media import child, process
from utd_rx.media.near import Near

async def main(modules):
    if modules:
        process.BOOT = process.BOOT.replace(f"({child.HUNG},", "(10,")
    made = process.MediaProcess(modules)
    await made.port(Near, Hanging, "tests.media.hanging:Hanging").hang()

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.long
@pytest.mark.parametrize("modules", ["", "tests.media.hanging_import"], ids=["serving", "starting"])
async def test_one_that_hangs_with_the_gil_held_ends_all_the_same(modules: str) -> None:
    app = subprocess.run(  # noqa: ASYNC221 - nothing else is to go on here
        [sys.executable, "-c", APP, modules],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    child = int(app.stdout)
    try:
        assert (app.returncode, app.stderr) == (-signal.SIGKILL, "")
        await until_ended([child], PATIENCE)
    finally:
        kill_all([child])
