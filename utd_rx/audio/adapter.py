"""The audio port over PortAudio, served in this process."""

from __future__ import annotations

from functools import cache
from typing import Final

from utd_rx.audio.hearing import HearingDevice
from utd_rx.audio.playing import PlayingDevice
from utd_rx.ports.audio import Abilities
from utd_rx.ports.local import LocalAudio

ABILITIES: Final = Abilities("portaudio")


@cache
def port() -> LocalAudio:
    """Return the process's port; PortAudio is not loaded until a device is opened."""
    return LocalAudio(ABILITIES, HearingDevice, PlayingDevice)
