"""Sound in and out: devices, sources, recorder, levels.

Importing it loads neither PortAudio nor LiveKit's native library.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from utd_rx.audio.levels import AudioLevel, LevelMeter, level_dbfs
from utd_rx.audio.recorder import WavRecorder
from utd_rx.audio.sources import ArraySource, ToneSource, WavSource
from utd_rx.audio.wav import read_wav

__all__ = [
    "ArraySource",
    "AudioLevel",
    "LevelMeter",
    "ToneSource",
    "WavRecorder",
    "WavSource",
    "level_dbfs",
    "read_wav",
    "speech_path",
]


def speech_path() -> Path:
    """Return the path of the speech-like sound that the package ships.

    4 s, 48 kHz, mono, 16 bit; `scripts/make_speech.py` makes it. It begins and ends in silence,
    so it can be looped, and does not repeat inside, so it can be aligned.
    """
    return Path(str(files(__name__) / "data" / "speech.wav"))
