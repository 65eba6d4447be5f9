"""`utd-rx doctor`: what is wrong with this machine's sound, and the command that mends it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from utd_rx.cli.options import as_json
from utd_rx.cli.progress import progress
from utd_rx.errors import UTDStreamException

if TYPE_CHECKING:
    from utd_rx.models.audio import AudioFrame
    from utd_rx.testing.sound import AudioComparison

SETTLING: Final = 1.5
"""Seconds before the test sound: a card gives its first blocks late
(docs/audio.md, "Cards and sound servers")."""

SECONDS: Final = 2.0
"""Of the test sound: two seconds of the shipped speech, which can be told from noise."""

TAIL: Final = 0.5
"""Seconds to listen for after it; no card is later."""

SILENCE_DBFS: Final = -90.0

SOUND_SERVER: Final = {
    "linux": "apt-get install pulseaudio libasound2-plugins && pulseaudio --start",
    "darwin": "open 'x-apple.systempreferences:com.apple.Sound-Settings.extension'",
}
UNMUTE: Final = {
    "linux": "pactl set-source-mute @DEFAULT_SOURCE@ 0",
    "darwin": "open 'x-apple.systempreferences:com.apple.preference.security?Privacy_Microphone'",
}
REAL_TIME: Final = (
    "echo '@audio - rtprio 95' | sudo tee /etc/security/limits.d/utd-rx.conf, then log in again"
)
IN_GROUP: Final = "sudo usermod -aG audio $USER, then log in again"


@click.command()
@click.option("--input", "input_name", metavar="DEVICE", help="Its id, name or a part of that.")
@click.option("--output", "output_name", metavar="DEVICE", help="Likewise.")
@click.option("--silent", is_flag=True, help="Open the devices but play nothing.")
@as_json
def command(input_name: str | None, output_name: str | None, silent: bool, **_: object) -> int:
    """Examine everything from PortAudio to a sound that is heard.

    Exits with 0, and with 1 when something is to be mended.
    """
    return asyncio.run(_examine(input_name, output_name, is_silent=silent))


async def _examine(input_name: str | None, output_name: str | None, *, is_silent: bool) -> int:
    from utd_rx.audio import portaudio
    from utd_rx.audio.devices import list_devices
    from utd_rx.audio.microphone import Microphone
    from utd_rx.audio.speaker import Speaker

    try:
        _good(portaudio.version())
        await media_process()
        devices = await asyncio.to_thread(list_devices)
    except UTDStreamException as error:
        return _bad(error.message)
    if not devices:
        return _bad(f"no sound device: {_why_none()}")
    _good(f"{len(devices)} devices; `utd-rx devices` lists them")
    frames: list[AudioFrame] = []
    microphone = Microphone(input_name)  # where an app's would live
    speaker = Speaker(output_name)
    try:
        status = await opens("microphone", microphone, microphone.open(frames.append))
        status |= await opens("speaker", speaker, speaker.open())
        if status or is_silent:
            return status
        with progress("playing and listening"):
            return await _listen(speaker, frames)
    finally:
        await microphone.aclose()
        await speaker.aclose()


async def media_process() -> None:
    """Tell whether rooms and devices can live in a process of their own, and how far that is."""
    from utd_rx.media.choice import VARIABLE, chosen, refused, why_not
    from utd_rx.media.process import MediaProcess

    if (wished := chosen(None)) != "auto":
        where = "the app's process" if wished == "inline" else "a process of their own"
        _good(
            f"{VARIABLE}={wished}: rooms and devices live in {where} unless an app says otherwise"
        )
    if (reason := why_not()) is not None:
        if wished == "process":
            raise refused(reason)
        return _good(f"no media process, {reason}: rooms and devices live in the app's")
    began = time.monotonic()
    process = MediaProcess()
    try:
        room = process.room()
        await room.disconnect()
        up = time.monotonic()
        await room.disconnect()
        there_and_back = time.monotonic() - up
        comes_first = _comes_first(process.pid)
    finally:
        await process.aclose()
    _good(
        f"a media process is up after {up - began:.1f} s, {1000 * there_and_back:.1f} ms away, "
        + (
            "and comes before busy threads"
            if comes_first
            else f"and needs real-time priority to come before busy threads: {REAL_TIME}; "
            "whoever is in the group audio may then take it"
        )
    )
    return None


def _comes_first(pid: int) -> bool:
    try:
        return os.sched_getscheduler(pid) == os.SCHED_RR
    except OSError:  # a sandbox that knows no such thing
        return False


async def opens(what: str, side: Any, opening: Any) -> int:
    from utd_rx.audio import portaudio

    try:
        await opening
    except UTDStreamException as error:
        return _bad(f"{what} in {_place(side)}: {error.message}")
    device = side.device.value
    rate = portaudio.sample_rate(device)  # of this process's streams
    at_rate = "" if rate is None else f" at {rate} Hz"
    _good(f"{what}: {device.name}{at_rate}, in {_place(side)}")
    return 0


def _place(side: Any) -> str:
    from utd_rx.ports import living

    return "the app's process" if living.is_here(side.key) else "a media process"


async def _listen(speaker: Any, frames: list[AudioFrame]) -> int:
    import numpy as np

    from utd_rx.audio import read_wav, speech_path
    from utd_rx.audio.sources import ArraySource
    from utd_rx.testing.sound import compare

    await asyncio.sleep(SETTLING)
    if not frames:
        return _bad("the microphone gives no sound at all: choose another with --input")
    frames.clear()
    audio_format, speech = read_wav(speech_path())
    sent = speech[: round(SECONDS * audio_format.sample_rate)]
    source = await ArraySource(sent, audio_format.sample_rate).open(speaker.voice("doctor"))
    await source.wait_ended()
    await asyncio.sleep(TAIL)
    heard = np.concatenate([frame.samples for frame in frames])
    found = compare(
        sent,
        heard,
        audio_format.sample_rate,
        sent_started_at=source.started_at,
        heard_started_at=frames[0].at,
    )
    return judge(found)


def judge(found: AudioComparison) -> int:
    if found.is_match and found.delay is not None and found.snr_db is not None:
        _good(
            f"what was played is heard: after {1000 * found.delay:.0f} ms, "
            f"{found.snr_db:.0f} dB above the noise, {found.lost_seconds:.2f} s lost"
        )
        return 0
    if found.heard_level_dbfs <= SILENCE_DBFS:
        mend = UNMUTE.get(sys.platform, "allow it in the system's privacy settings")
        return _bad(f"the microphone hears nothing: muted, or not permitted: {mend}")
    _good(
        f"the microphone hears {found.heard_level_dbfs:.0f} dBFS, but not what was played: "
        "right with headphones, or with a speaker that is turned down"
    )
    return 0


def _why_none() -> str:
    cards = list(Path("/dev/snd").glob("pcm*")) if Path("/dev/snd").is_dir() else []
    if cards and not any(os.access(card, os.R_OK | os.W_OK) for card in cards):
        return f"there is a card, but no permission to use it: {IN_GROUP}"
    return f"no card and no sound server was found: {SOUND_SERVER.get(sys.platform, 'plug one in')}"


def _good(line: str) -> None:
    _say(True, line)


def _bad(line: str) -> int:
    _say(False, line)
    return 1


def _say(is_good: bool, line: str) -> None:
    command = click.get_current_context(silent=True)
    if command is not None and command.params["as_json"]:
        print(json.dumps({"is_good": is_good, "finding": line}), flush=True)
    else:
        print(f"{'ok   ' if is_good else 'WRONG'} {line}", flush=True)
