"""`import utd_rx` costs little: what is heavy is loaded by the first use that needs it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final

import pytest

HEAVY: Final = (
    "aiohttp",
    "aiortc",
    "av",
    "jwt",
    "livekit",
    "matplotlib",
    "numpy",
    "OpenSSL",
    "rich",
    "sounddevice",
)

REPORT: Final = """
import sys
import {module}
heavy = {{name.partition(".")[0] for name in sys.modules}} & {{{names}}}
with open("/proc/self/maps") as maps:
    libraries = [line for line in maps if "portaudio" in line or "livekit_ffi" in line]
print(sorted(heavy), libraries)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/maps")
@pytest.mark.parametrize("module", ["utd_rx", "utd_rx.models", "utd_rx.protocol", "utd_rx.errors"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    program = REPORT.format(module=module, names=", ".join(map(repr, HEAVY)))
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == "[] []"


@pytest.mark.parametrize(
    ("absent", "line", "extra"),
    [
        ("livekit.api", "from utd_rx.engine import LocalEngine", "engine"),
        ("hypothesis", "from utd_rx.testing import CallMachine", "testing"),
        ("hypothesis", "from utd_rx.testing.strategies import of", "testing"),
        ("anywidget", "import utd_rx.notebook", "notebook"),
    ],
)
def test_what_an_extra_brings_is_asked_for_by_the_command_that_brings_it(
    absent: str, line: str, extra: str
) -> None:
    program = f"import sys; sys.modules[{absent!r}] = None; {line}"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    told = answer.stderr.splitlines()[-1]
    assert re.match(r"(ImportError|ModuleNotFoundError): utd_rx\.", told), answer.stderr
    assert absent.partition(".")[0] in told
    assert told.endswith(f"pip install 'utd-rx[{extra}]'")
