"""Which sound devices there are now, finding one by PortAudio, and waiting for one that was lost.

PortAudio looks for devices only when it is started, so another process starts one of its own. That
takes 0.07 s: it imports nothing but `sounddevice`, and what it tells is understood here.
"""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
import threading
import time
from typing import Final

from utd_rx.audio import portaudio
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceChoice, choose_device

__all__ = ["AudioDevice", "AudioDirection", "DeviceChoice", "find_device", "list_devices"]

logger: Final = logging.getLogger("utd_rx.audio")

LISTING_TIMEOUT: Final = 10.0  # seconds for the other process
LISTING_PAUSE: Final = 0.5
"""Seconds from one look to the next while devices are waited for, however many: a tenth of a core,
of the 2 s that a device may take to come back."""

RESTART_PAUSE: Final = 2.0
LONGEST_RESTART_PAUSE: Final = 60.0
"""Seconds between restarts of PortAudio for a device that is listed but does not open; twice as
long each time, as each is a gap in every other stream."""

_LISTING: Final = (  # with no more priority than others, which it has from a media process
    "import json, os;"
    "hasattr(os, 'sched_param') and os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0));"
    "import sounddevice as s;"
    "print(json.dumps([s.query_hostapis(), s.query_devices(), list(s.default.device)]))"
)
_lock: Final = threading.Lock()
_looked_at = -math.inf
_seen: tuple[AudioDevice, ...] = ()


def list_devices(direction: AudioDirection | None = None) -> tuple[AudioDevice, ...]:
    """Return the devices there are now, of one direction or of both.

    Blocks for about 0.1 s. No stream of this process is disturbed, nor of others that use PortAudio
    in it.

    Raises:
        UTDStreamException: `FEATURE_DISABLED` without PortAudio; the message holds the command
            that installs it.
    """
    portaudio.load()
    return tuple(device for device in look() if direction in (None, device.direction))


def find_device(choice: DeviceChoice, direction: AudioDirection) -> AudioDevice:
    """Return the chosen device; raises as `portaudio.load` and `choose_device`.

    Should it have been plugged in since PortAudio looked, that is restarted: open streams are
    opened anew, a pause in each of about half a second. Those of others by PortAudio here end.
    """
    try:
        return choose_device(portaudio.known(), choice, direction)
    except UTDStreamException as error:
        if error.code is not UTDErrorCode.NOT_FOUND:
            raise
        choose_device(look(), choice, direction)  # or nothing is disturbed
        portaudio.restart()
    return choose_device(portaudio.known(), choice, direction)


def look(max_age: float = 0.0) -> tuple[AudioDevice, ...]:
    """Return the devices that a fresh PortAudio finds, or found `max_age` seconds ago at most."""
    global _looked_at, _seen
    with _lock:
        now = time.monotonic()
        if not max_age or now - _looked_at >= max_age:
            _looked_at, _seen = now, _ask()
        return _seen


class Lookout:
    """Waits for one lost device."""

    def __init__(self, choice: DeviceChoice, direction: AudioDirection) -> None:
        self._choice = choice
        self._direction = direction
        self._attempts = 0
        self._restart_at = -math.inf
        self._pause = RESTART_PAUSE

    def find(self, now: float) -> DeviceChoice:
        """Return what to open, `NOT_FOUND` while it is not there; again when that has failed."""
        self._attempts += 1
        if self._attempts == 1:
            return self._choice  # its stream may have been killed, and nothing else
        try:
            # Asking a list is quieter than opening what is not there, of which ALSA complains.
            device = choose_device(look(LISTING_PAUSE), self._choice, self._direction)
        except UTDStreamException:
            self._attempts, self._restart_at, self._pause = 1, -math.inf, RESTART_PAUSE
            raise
        # What came back may be another one to PortAudio, by the same name.
        if self._attempts > 2 and now >= self._restart_at:
            self._restart_at = now + self._pause
            self._pause = min(LONGEST_RESTART_PAUSE, 2 * self._pause)
            portaudio.restart()
        return device


def _ask() -> tuple[AudioDevice, ...]:
    # A frozen app is no Python: it would start itself once more.
    python = "" if getattr(sys, "frozen", False) else sys.executable or ""
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and no word from outside
            (python, "-c", _LISTING), capture_output=True, timeout=LISTING_TIMEOUT, check=True
        )
        return tuple(device for device, _ in portaudio.read(*json.loads(done.stdout)))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        logger.warning("another process could not look for devices: %s", error)
        portaudio.refresh()
        return portaudio.known()
