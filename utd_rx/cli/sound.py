"""What a command speaks with, hears by and shows: a device, a file, or nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import click

from utd_rx.cli.options import F
from utd_rx.cli.progress import notice
from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid

if TYPE_CHECKING:
    from utd_rx.audio import WavRecorder, WavSource
    from utd_rx.audio.microphone import Microphone
    from utd_rx.audio.speaker import Speaker
    from utd_rx.models.video import VideoInput

NO_DEVICE: Final = (UTDErrorCode.NOT_FOUND, UTDErrorCode.FEATURE_DISABLED)


SPEECH: Final = "speech"
PATTERN: Final = "pattern"


def agent_sound(command: F) -> F:
    """Add `--microphone` and `--speaker` of who talks to an agent."""
    hears = "A device of `utd-rx devices`, or a WAV file to write."
    return _microphone(click.option("--speaker", metavar="NAME", help=hears)(command))


def room_sound(command: F) -> F:
    """Add `--microphone` and `--speaker` of who is in a room."""
    hears = "A device of `utd-rx devices`."
    return _microphone(click.option("--speaker", metavar="NAME", help=hears)(command))


def _microphone(command: F) -> F:
    says = f"A device of `utd-rx devices`, a WAV file, or `{SPEECH}`: some, over and over."
    return click.option("--microphone", metavar="NAME", help=says)(command)


async def open_sound(
    stack: AsyncExitStack, microphone: str | None, speaker: str | None
) -> tuple[Any, Any]:
    """Return the microphone and the speaker; None, and a word of it, for one that is not here."""
    from utd_rx.audio import WavRecorder, WavSource, speech_path
    from utd_rx.audio.devices import AudioDirection, list_devices

    found = []
    try:
        found = [device.direction for device in await asyncio.to_thread(list_devices)]
    except UTDStreamException as error:
        if error.code not in NO_DEVICE:
            raise
    mouth: WavSource | Microphone | None = None
    ear: WavRecorder | Speaker | None = None
    if is_wav(speaker):
        ear = stack.enter_context(WavRecorder(speaker))
    elif speaker or AudioDirection.OUTPUT in found:
        from utd_rx.audio.speaker import Speaker

        ear = await stack.enter_async_context(Speaker(speaker))
    if microphone == SPEECH:
        mouth = WavSource(speech_path(), loop=True)
    elif is_wav(microphone):
        mouth = WavSource(microphone)
    elif microphone or AudioDirection.INPUT in found:
        from utd_rx.audio.microphone import Microphone

        mouth = Microphone(microphone)
        stack.push_async_callback(mouth.aclose)
    absent = [name for name, one in (("microphone", mouth), ("speaker", ear)) if not one]
    if absent:
        notice(f"no {' and no '.join(absent)} here: `utd-rx doctor` says more")
    return mouth, ear


async def open_room_sound(
    stack: AsyncExitStack, microphone: str | None, speaker: str | None
) -> tuple[Any, Any]:
    """As `open_sound`; a room has many voices, which `utd-rx record` writes."""
    if is_wav(speaker):
        raise invalid("a room is heard on a device; `utd-rx record` writes what is said there")
    return await open_sound(stack, microphone, speaker)


def camera(name: str | None) -> VideoInput:
    """Return a camera by its name, a video file, or the pattern."""
    from utd_rx.video import Camera, TestPattern, VideoFileSource

    if name is None or name == PATTERN:
        return TestPattern()
    return VideoFileSource(name) if Path(name).is_file() else Camera(name)


def is_wav(name: str | None) -> TypeGuard[str]:
    return name is not None and name.lower().endswith(".wav")
