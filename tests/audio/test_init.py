"""Importing the package is cheap: neither PortAudio nor LiveKit's native library is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = (
    "import sys, utd_rx.audio; heavy = ('livekit', 'sounddevice', '_sounddevice');"
    "print([m for m in sys.modules if m.startswith(heavy)])"
)


def test_no_device_and_no_native_library_is_loaded() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", CODE], cwd=root, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
