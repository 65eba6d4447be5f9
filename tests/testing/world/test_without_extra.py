"""A world needs neither the extra `engine` nor PortAudio."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

PROGRAM: Final = """
import sys
for name in ("aioice", "aiortc", "google.protobuf", "jwt", "livekit.api", "OpenSSL", "pylibsrtp"):
    sys.modules[name] = None  # whoever imports it fails
from utd_rx.testing import FakeWorld
with FakeWorld() as world:
    anna = world.join_audio_room("anna", host=True)
    world.run(anna.take_seat(1))
    world.call("ben", "cleo")
    world.live_stream("dan", "show")
    print(anna.microphone_enabled.value, "sounddevice" in sys.modules)
"""


def test_a_world_needs_no_extra() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert (answer.stdout.strip(), answer.stderr) == ("True False", "")
