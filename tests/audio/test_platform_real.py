"""The platform backend end to end, each scenario of `platform_scenarios` in a process of its own."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.support.pulse import Bench

SCENARIOS = Path(__file__).with_name("platform_scenarios.py")
NAMES = re.findall(r"^async def (test_\w+)", SCENARIOS.read_text(), re.MULTILINE)


@pytest.mark.embedded
@pytest.mark.parametrize("name", NAMES)
async def test_scenario(bench: Bench, name: str) -> None:
    """`bench` only says whether there are sound cards; the process starts some of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", "-q", f"{SCENARIOS}::{name}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode(errors="replace")
