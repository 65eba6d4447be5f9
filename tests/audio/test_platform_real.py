"""The platform backend end to end: each of `platform_scenarios` in a process of its own."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.support.sfu import SfuKind

SCENARIOS = Path(__file__).with_name("platform_scenarios.py")
FOUND = re.findall(r"^async def (test_\w+)\((.*)\) -> None:$", SCENARIOS.read_text(), re.MULTILINE)
IN_A_ROOM = [name for name, arguments in FOUND if "house" in arguments]
ALONE = [name for name, arguments in FOUND if "house" not in arguments]

# `bench` only says whether there are sound cards; the process starts some of its own.
pytestmark = [pytest.mark.usefixtures("bench"), pytest.mark.realtime, pytest.mark.timeout(300)]


async def run(scenario: str) -> None:
    """Run a scenario as a test of its own; fail with all it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", "-q", "-o", "timeout=280", f"{SCENARIOS}::{scenario}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = output.decode(errors="replace").splitlines()
    what = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
    assert process.returncode == 0, "\n".join(what + lines)


@pytest.mark.parametrize("sfu_kind", ["embedded"])  # the sound card is what is tried
@pytest.mark.parametrize("name", IN_A_ROOM)
async def test_in_a_room(sfu_kind: SfuKind, name: str) -> None:
    await run(f"{name}[{sfu_kind}]")


@pytest.mark.parametrize("name", ALONE)
async def test_alone(name: str) -> None:
    await run(name)
