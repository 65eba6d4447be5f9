"""A sound card for tests: a private PulseAudio daemon whose null sinks are virtual cables.

What is played to `CABLE_A` is heard by recording from it. Nothing of the system is touched: the
daemon has its own runtime folder, and this process finds it by three environment variables that
`Bench.start` sets and `Bench.stop` takes back. PortAudio reaches it through ALSA's pulse plugin,
and sees the cables by name because of the ALSA configuration written here.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from utd_rx.errors import UTDStreamException

PACKAGES: Final = "pulseaudio pulseaudio-utils libportaudio2 libasound2-plugins"
INSTALL: Final = f"apt-get install --no-install-recommends {PACKAGES}"

CABLE_A: Final = "cable_a"
CABLE_B: Final = "cable_b"
CABLES: Final = (CABLE_A, CABLE_B)

START_TIMEOUT: Final = 10.0

# norewinds: with rewinding a null sink plays ahead and takes back, which no sound card does.
_DAEMON: Final = """\
.fail
load-module module-native-protocol-unix socket={run}/native auth-anonymous=1
load-module module-cli-protocol-unix socket={run}/cli
{sinks}
"""
_SINK: Final = "module-null-sink sink_name={name} norewinds=1 rate=48000 channels=2"
_PCM: Final = """\
pcm.{name} {{
    type asym
    playback.pcm {{ type pulse; device {name} }}
    capture.pcm {{ type pulse; device {name}.monitor }}
}}
"""


def missing_audio() -> str | None:
    """Say what is missing for tests on sound cards, None when nothing is."""
    if shutil.which("pulseaudio") is None or shutil.which("pactl") is None:
        return f"PulseAudio not found; {INSTALL}"
    from utd_rx.audio import portaudio

    try:
        portaudio.load()
    except UTDStreamException as error:
        return f"{error.message}; {INSTALL}"
    return None


def is_audio_required() -> bool:
    """Say whether that is a failure, as in CI, and not a reason to skip."""
    return os.environ.get("UTD_RX_REQUIRE_AUDIO") == "1"


class Bench:
    """One daemon with two cables."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="utd-rx-pulse-"))
        self._daemon: subprocess.Popen[bytes] | None = None
        self._kept: dict[str, str | None] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find the cables."""
        run = str(self.folder)
        return {
            "PULSE_SERVER": f"unix:{run}/native",
            "PULSE_RUNTIME_PATH": run,
            "ALSA_CONFIG_PATH": f"{run}/asound.conf",
        }

    def start(self) -> None:
        """Start the daemon and point this process to it."""
        sinks = "\n".join(f"load-module {_SINK.format(name=name)}" for name in CABLES)
        (self.folder / "daemon.pa").write_text(_DAEMON.format(run=self.folder, sinks=sinks))
        self._write_cards(CABLES)
        self._kept = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        self.start_daemon()

    def start_daemon(self) -> None:
        """Start the daemon, and wait until it answers."""
        command = ["pulseaudio", "-n", "-F", str(self.folder / "daemon.pa"), "--daemonize=no"]
        command += ["--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"]
        home = {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder)}
        with (self.folder / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                command, env={**os.environ, **home}, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT
        while CABLE_B not in self.pactl("list", "short", "sinks"):
            if time.monotonic() > deadline or self._daemon.poll() is not None:
                raise RuntimeError((self.folder / "daemon.log").read_text())
            time.sleep(0.02)
        # Its main thread too needs priority, or clients see stalls of 50-280 ms on a busy
        # machine (docs/audio.md, "Cards and sound servers"); without the right to it, tests are
        # only less steady. It gives back what it had before it was ready.
        with suppress(OSError):
            os.sched_setscheduler(self._daemon.pid, os.SCHED_RR, os.sched_param(5))

    def stop_daemon(self) -> None:
        """Kill the daemon, as a crash would."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()
            self._daemon = None
            for name in ("native", "cli"):
                (self.folder / name).unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop the daemon and take back what `start` changed."""
        self.stop_daemon()
        for name, value in self._kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(self.folder, ignore_errors=True)

    def pactl(self, *arguments: str) -> str:
        """Run `pactl` and return what it printed, "" while the daemon does not answer."""
        done = subprocess.run(["pactl", *arguments], capture_output=True, text=True, timeout=10)
        return done.stdout

    def unplug(self, cable: str) -> None:
        """Take a cable away; the daemon moves its streams to another one, if there is one."""
        for line in self.pactl("list", "short", "modules").splitlines():
            if f"sink_name={cable} " in line:
                self.pactl("unload-module", line.split()[0])

    def plug_in(self, cable: str) -> None:
        """Bring a cable back, or a new one that PortAudio has not seen yet."""
        self._write_cards(dict.fromkeys((*CABLES, cable)))
        self.pactl("load-module", *_SINK.format(name=cable).split())

    def _write_cards(self, cables: Iterable[str]) -> None:
        pcms = "".join(_PCM.format(name=name) for name in cables)
        (self.folder / "asound.conf").write_text(f"</usr/share/alsa/alsa.conf>\n{pcms}")

    def kill_streams(self, kind: str) -> int:
        """Kill all "sink-input"s or "source-output"s, and return how many there were.

        `pactl` cannot, so this speaks to the daemon's command line.
        """
        numbers = [line.split()[0] for line in self.pactl("list", "short", f"{kind}s").splitlines()]
        with socket.socket(socket.AF_UNIX) as cli:
            cli.settimeout(5)
            cli.connect(str(self.folder / "cli"))
            for number in numbers:
                cli.sendall(f"kill-{kind} {number}\n".encode())
            cli.shutdown(socket.SHUT_WR)
            while cli.recv(4096):
                pass
        return len(numbers)
