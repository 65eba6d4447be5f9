"""`VideoFileSource`: the pictures of a video file as a video input, through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen

from utd_rx.errors import invalid
from utd_rx.models.checks import absolute, typed
from utd_rx.models.video import MAX_FPS, VideoFormat, VideoFrame, VideoSink
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.video.library import fitting, load, reading, to_pixels
from utd_rx.video.reel import PacedReel, Reel

ASSUMED_FPS: Final = 30.0
"""Of a file that does not say it, as a recording of frames that came as they liked."""


def _to_path(path: str | Path) -> Path:
    return absolute(path, "VideoFileSource.path")


@frozen(field_transformer=typed)
class VideoFileSource:
    """The pictures of a video file, in its own pace and turned as it says; its sound is left out.

    Whatever FFmpeg reads: MP4, MKV, WebM, … Making it reads the file's header, so a wrong path is
    told where it was written; `open` reads the pictures, on a thread of the stream. Needs PyAV
    (`pip install 'utd-rx[camera]'`).

    Args:
        path: The file; relative ones are resolved at once, because the room may live in a process
            with another working directory.
        loop: Start again at the end, without a gap.
        clock: Paces the frames; for tests.

    Raises:
        UTDStreamException: `VALIDATION`, when the file is missing, unreadable, or holds no picture
            of a size that can be sent; `FEATURE_DISABLED` without PyAV.
    """

    path: Path = field(converter=_to_path)
    loop: bool = field(default=False, kw_only=True)
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True, eq=False, repr=False)
    format: VideoFormat = field(init=False)
    """Its size, made small enough to be sent, and its mean frame rate."""
    duration: float | None = field(init=False)
    """Seconds, None where the file does not say it."""

    def __attrs_post_init__(self) -> None:
        with _opened(self.path) as (container, stream):
            width, height = fitting(stream.codec_context.width, stream.codec_context.height)
            fps = min(MAX_FPS, float(stream.average_rate or ASSUMED_FPS))
            duration = container.duration
        object.__setattr__(self, "format", VideoFormat(width, height, fps))
        object.__setattr__(self, "duration", duration and duration / 1_000_000)

    async def open(self, sink: VideoSink) -> PacedReel:
        """Start to deliver frames to `sink`, paced in real time.

        A file that cannot be read any more ends the stream: `wait_ended` raises `VALIDATION`.
        Cancelling is safe: it does not wait for anything.
        """
        return PacedReel(_reel(self), sink, self.clock, name=f"utd_rx.video {self.path.name}")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    av = load("a video file")
    with reading(path), av.open(str(path)) as container:
        if not container.streams.video:
            raise invalid(f"{path} holds no video")
        yield container, container.streams.video[0]


def _reel(source: VideoFileSource) -> Reel:
    with _opened(source.path) as (container, stream):
        stream.thread_type = "AUTO"
        began_at = 0.0
        while True:
            ends_at = None
            for frame in _round(source, container, stream):
                yield evolve(frame, timestamp=began_at + frame.timestamp)
                ends_at = began_at + frame.timestamp + 1 / source.format.fps
            if ends_at is None or not source.loop:
                return
            began_at = ends_at
            container.seek(0)


def _round(source: VideoFileSource, container: Any, stream: Any) -> Reel:
    """Read it once."""
    first: float | None = None
    for number, decoded in enumerate(container.decode(stream)):
        at = number / source.format.fps if decoded.time is None else decoded.time
        first = at if first is None else first
        pixels = to_pixels(decoded, fitting(decoded.width, decoded.height))
        # FFmpeg counts counterclockwise. What is turned by less than a right angle stays so.
        rotation = round(-decoded.rotation / 90) * 90 % 360
        yield VideoFrame(pixels, max(0.0, at - first), rotation)
