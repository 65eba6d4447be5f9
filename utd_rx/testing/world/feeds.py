"""An input that is published in a world: opened, fed into a track, and closed.

An input that is paced by the machine's clock is paced by the loop's here, which may be virtual.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any, Final, TypeAlias

import attrs
import numpy as np
from attrs import define, evolve, field

from utd_rx.audio.convert import to_channels
from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInput, AudioInputStream, is_pcm
from utd_rx.models.participant import TrackKind, TrackPublication, TrackSource
from utd_rx.models.video import VideoFormat, VideoFrame, VideoInput
from utd_rx.ports.clock import SYSTEM_CLOCK
from utd_rx.ports.crossing import Box
from utd_rx.testing.world.clock import WorldClock
from utd_rx.testing.world.receptions import FORMAT
from utd_rx.testing.world.sfu_participant import Track

logger: Final = logging.getLogger(__name__)

Input: TypeAlias = AudioInput | VideoInput

SOUND: Final = (TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE_AUDIO)

CLOSE_TIMEOUT: Final = 5.0
"""Seconds an input may take to close before it is left alone, as `UTDRoom` gives it."""


def paced_here(source: Any) -> Any:
    """Return a source that the loop paces, if the machine does."""
    if attrs.has(type(source)) and getattr(source, "clock", None) is SYSTEM_CLOCK:
        clock = WorldClock(asyncio.get_running_loop(), random.Random(0))  # noqa: S311 - no guard
        return evolve(source, clock=clock)
    return source


@define(eq=False)
class Feed:
    """A local track and what feeds it; `refused` is why it cannot be, once that is known."""

    source: Any
    track_source: TrackSource
    refused: asyncio.Future[UTDStreamException]
    box: Box[Any]
    publication: TrackPublication = TrackPublication("")
    stream: AudioInputStream | None = None
    watcher: asyncio.Task[None] | None = None
    is_over: bool = False
    is_lost: bool = False
    switching: asyncio.Lock = field(factory=asyncio.Lock)

    @property
    def is_picture(self) -> bool:
        return self.track_source not in SOUND

    async def open(self, source: Input) -> AudioInputStream:
        """Open an input into the track."""
        stream: AudioInputStream = await paced_here(source).open(self.box.post)
        return stream

    def refuse(self, error: UTDStreamException) -> None:
        """Say why the track cannot be, unless that is known."""
        if not self.refused.done():
            self.refused.set_result(error)

    def frames_of(self, frame: Any) -> list[AudioFrame | VideoFrame]:
        """Return what others get of a frame of the input; `VALIDATION` when it is none."""
        return [_picture(frame)] if self.is_picture else [*_sound(frame, self.source.format)]

    async def rest(self) -> None:
        """Close what feeds the track. Idempotent."""
        watcher, self.watcher = self.watcher, None
        stream, self.stream = self.stream, None
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                if watcher is not None:
                    watcher.cancel()
                    await asyncio.wait([watcher])
                if stream is not None:
                    await stream.aclose()
        except Exception:
            logger.exception("an input failed to close")


def track_of(
    source: Any, track_source: TrackSource, known: TrackPublication | None = None
) -> Track:
    """Return a track to publish, or raise `VALIDATION` for what is no source of one."""
    is_sound = track_source in SOUND
    declared = getattr(source, "format", None)
    if not isinstance(declared, AudioFormat if is_sound else VideoFormat):
        kind = "an AudioInput" if is_sound else "a VideoInput"
        raise invalid(f"As {track_source.name.lower()} one publishes {kind} that says its format.")
    of = TrackKind.AUDIO if is_sound else TrackKind.VIDEO
    publication = TrackPublication("", track_source.name.lower(), of, track_source)
    if known is not None:
        publication = evolve(publication, is_muted=known.is_muted)
    if isinstance(declared, VideoFormat):
        return Track(publication, declared.width, declared.height)
    return Track(publication)


def _sound(frame: Any, declared: AudioFormat) -> list[AudioFrame]:
    """Return what others hear of a frame: in `FORMAT`, in pieces of 10 ms."""
    if not isinstance(frame, AudioFrame) or not is_pcm(frame.samples):
        raise invalid(f"The audio input delivers {type(frame).__name__}, which is no AudioFrame.")
    samples, rate = frame.samples, frame.sample_rate
    if samples.shape[1] != declared.channels or len(samples) > rate:
        raise invalid(
            f"The audio input delivers {samples.shape} at {rate} Hz, which cannot be sent as "
            f"{declared}: a frame has at most a second, and the channels of its format."
        )
    mono = to_channels(samples, FORMAT.channels)
    if rate != FORMAT.sample_rate:  # between the samples, since no ear is there to mind
        count = len(mono) * FORMAT.sample_rate // rate
        places = np.arange(count) * (rate / FORMAT.sample_rate)
        line = np.interp(places, np.arange(len(mono)), mono[:, 0])
        mono = np.rint(line).astype(np.int16)[:, np.newaxis]
    size = FORMAT.samples_per_frame
    missing = -len(mono) % size
    mono = np.pad(mono, ((0, missing), (0, 0))) if missing else mono
    pieces = [mono[begin : begin + size] for begin in range(0, len(mono), size)]
    return [AudioFrame(piece, FORMAT.sample_rate, frame.at) for piece in pieces]


def _picture(frame: Any) -> VideoFrame:
    if not isinstance(frame, VideoFrame):
        raise invalid(f"The video input delivers {type(frame).__name__}, which is no VideoFrame.")
    return frame
