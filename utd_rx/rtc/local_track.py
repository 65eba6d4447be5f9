"""A local track and what is behind it: an input, its open stream, and the way into LiveKit.

Sound goes on while its track is muted, so that timing is kept. Pictures do not: what feeds them is
closed, a camera with its light, and opened again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from attrs import define, field

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid, words_of
from utd_rx.models.audio import AudioFormat, AudioInput, AudioInputStream
from utd_rx.models.participant import TrackSource
from utd_rx.models.video import Losable, VideoFormat, VideoFrame, VideoInput
from utd_rx.rtc import native
from utd_rx.rtc.feeder import Feeder
from utd_rx.rtc.pictures import PictureFeeder
from utd_rx.rtc.platform_audio import PlatformStream

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

Input: TypeAlias = AudioInput | VideoInput

PICTURES: Final = frozenset({TrackSource.CAMERA, TrackSource.SCREEN_SHARE})
"""What is published from a `VideoInput`; everything else is sound."""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds an input may take to close before it is left alone."""

LAYERED_FROM: Final = 960
"""Pixels of the longer side from which a picture is sent in several sizes. LiveKit does so with
smaller ones, too, but in the same size twice (docs/livekit.md, "Video")."""


@define(eq=False)
class LocalTrack:
    """A local track; `track` is LiveKit's, published or about to be."""

    source: Input
    feeder: Feeder | PictureFeeder
    stream: AudioInputStream | None
    track: rtc.LocalAudioTrack | rtc.LocalVideoTrack
    track_source: TrackSource
    refused: asyncio.Future[UTDStreamException]  # why it cannot be, once that is known
    sid: str = ""
    watcher: asyncio.Task[None] | None = None
    is_muted: bool = False
    is_over: bool = False
    is_lost: bool = False  # the device is, and waited for
    switching: asyncio.Lock = field(init=False, factory=asyncio.Lock)

    @property
    def is_picture(self) -> bool:
        return self.track_source in PICTURES

    @property
    def options(self) -> rtc.TrackPublishOptions:
        """How LiveKit is to publish it."""
        options: rtc.TrackPublishOptions = native.sdk().TrackPublishOptions()
        options.source = cast("Any", self.track_source.value)
        if isinstance(self.feeder, PictureFeeder):
            declared = self.feeder.format
            # Without it LiveKit takes those of a preset, of 640×360 25 frames a second.
            options.video_encoding.max_framerate = declared.fps
            options.video_encoding.max_bitrate = bit_rate(declared)
            options.simulcast = max(declared.width, declared.height) >= LAYERED_FROM
        return options

    async def run(self, told: Callable[[UTDStreamException | None], None]) -> None:
        """Open what feeds the track, unless it is open, and wait for its end.

        `told` hears why its device is lost, and None when it is not or is back.
        """
        if self.stream is None:
            self.stream = await cast("Any", self.source).open(self.feeder.put)
        told(None)
        if isinstance(self.stream, Losable):
            self.stream.watch(told)
        await self.stream.wait_ended()

    async def replace(self, source: VideoInput) -> None:
        """Be fed by `source` from now on; if that does not open, by what it was. `run` again."""
        feeder = cast("PictureFeeder", self.feeder)
        _video_format(source)
        if self.watcher is None:  # it rests, and `source` is opened when that is over
            self.source = source
            return
        is_open = False

        def put(frame: VideoFrame) -> None:
            if is_open:
                feeder.put(frame)

        stream = await source.open(put)
        if not self.is_over:
            await self.rest()
        if self.is_over:  # since it was looked at, too
            await stream.aclose()
        else:
            self.source, self.stream = source, stream
            is_open = True

    async def rest(self) -> None:
        """Close what feeds the track; `run` opens it again. Idempotent."""
        watcher, self.watcher = self.watcher, None
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                if watcher is not None:
                    watcher.cancel()
                    await asyncio.wait([watcher])
                if self.stream is not None:
                    await self.stream.aclose()
        except Exception:
            logger.exception("an input failed to close")
        finally:
            self.stream = None

    async def silence(self) -> None:
        """Close what feeds the track for good. Idempotent."""
        self.is_over = True
        try:
            await self.rest()
        finally:
            await self.feeder.aclose()


async def open_track(source: Input, track_source: TrackSource) -> LocalTrack:
    """Open an input and make a track of it, that is not published yet."""
    refused: asyncio.Future[UTDStreamException] = asyncio.get_running_loop().create_future()
    failed = partial(refuse, refused)
    name, sdk = track_source.name.lower(), native.sdk()
    feeder: Feeder | PictureFeeder
    async with AsyncExitStack() as undo:
        if track_source in PICTURES:
            is_screen = track_source is TrackSource.SCREEN_SHARE
            feeder = PictureFeeder(_video_format(source), failed, is_screen=is_screen)
        else:
            feeder = Feeder(_audio_format(source), failed)
        undo.push_async_callback(feeder.aclose)
        stream: AudioInputStream = await cast("Any", source).open(feeder.put)
        undo.push_async_callback(stream.aclose)
        if isinstance(feeder, PictureFeeder):
            track = sdk.LocalVideoTrack.create_video_track(name, feeder.source)
        elif isinstance(stream, PlatformStream):
            # The platform's sound goes from its device into the track, and not to the feeder.
            track = sdk.LocalAudioTrack.create_audio_track(name, stream.source)
            stream.attach(track)
        else:
            track = sdk.LocalAudioTrack.create_audio_track(name, feeder.source)
        undo.pop_all()
    return LocalTrack(source, feeder, stream, track, track_source, refused)


def bit_rate(video_format: VideoFormat) -> int:
    """Return the most bits per second that a picture is sent with: a curve through LiveKit's own
    presets (160 k for 320×180, 450 k for 640×360, both of 20 frames a second, 1.7 M for 1280×720
    and 3 M for 1920×1080 of 30)."""
    size = video_format.width * video_format.height / (1280 * 720)
    return int(1_700_000 * size**0.75 * (video_format.fps / 30) ** 0.5)


def refuse(refused: asyncio.Future[UTDStreamException], error: UTDStreamException) -> None:
    """Say why a track cannot be, unless that is known."""
    if not refused.done():
        refused.set_result(error)


def forbidden(source: TrackSource) -> UTDStreamException:
    """Return what refuses a source that the server does not let be published."""
    return UTDStreamException(
        f"The server has not granted publishing {source.name.lower()}.",
        code=UTDErrorCode.FORBIDDEN,
    )


def _audio_format(source: Any) -> AudioFormat:
    try:
        declared = source.format
        return AudioFormat(declared.sample_rate, declared.channels)
    except (AttributeError, ValueError) as error:
        raise invalid(
            f"The audio input declares no format that can be published ({words_of(error)}). "
            "Declare one that can, such as 48,000 Hz: frames of another rate are converted to it."
        ) from error


def _video_format(source: Any) -> VideoFormat:
    try:
        declared = source.format
        return VideoFormat(declared.width, declared.height, declared.fps)
    except (AttributeError, ValueError) as error:
        raise invalid(
            f"The video input declares no format that can be published ({words_of(error)}). "
            "Declare one that can, such as VideoFormat(640, 360): frames may be of another size."
        ) from error
