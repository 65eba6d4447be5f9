"""`FrameSource`: pictures in memory, or made one after the other, as a video input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import TypeAlias

import numpy as np
from attrs import evolve, field, frozen

from utd_rx.errors import invalid
from utd_rx.models import checks
from utd_rx.models.checks import typed
from utd_rx.models.video import Pixels, VideoFormat, VideoFrame, VideoSink, is_rgb
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.video.reel import PacedReel, Reel

Picture: TypeAlias = Pixels | VideoFrame
"""uint8 RGB `(height, width, 3)`, or a frame, of which the pixels and the rotation count."""

Pictures: TypeAlias = Pixels | Iterable[Picture] | Callable[[int], Picture | None]


def to_size(size: tuple[int, int] | None, name: str) -> tuple[int, int] | None:
    """Return a size that pictures can have, or raise `VALIDATION`."""
    if size is None:
        return None
    try:
        width, height = size
        declared = VideoFormat(width, height)
    except (TypeError, ValueError) as error:
        raise invalid(f"{name} must be (width, height), not {size!r}") from error
    return declared.width, declared.height


def _to_size(size: tuple[int, int] | None) -> tuple[int, int] | None:
    return to_size(size, "FrameSource.size")


def _to_frames(frames: Pictures) -> Pictures:
    # The rest is looked at with the size.
    return checks.answering(frames, "frames") if callable(frames) else frames


@frozen(eq=False, field_transformer=typed)
class FrameSource:
    """Pictures of an app's own, delivered at a steady pace.

    Nothing is copied, so a picture that was handed over does not change any more. The iterable and
    the function are called on a thread of the stream, one frame ahead; where they are too slow the
    pace is theirs.

    Args:
        frames: An array, uint8 RGB `(n, height, width, 3)`; an iterable of pictures; or a function
            of the frame's number, from 0, that returns one, or None for the end. A picture is
            uint8 RGB `(height, width, 3)` or a `VideoFrame`, each of any size. With each opening it
            begins anew, unless it is an iterator, which goes on.
        fps: Frames per second, above 0, at most 120.
        size: `(width, height)` in pixels, 16 to 4096: of the largest picture. Needed for what does
            not say it by itself, an iterable that is no sequence, and a function.
        loop: Start again at the end.
        clock: Paces the frames; for tests.

    Raises:
        UTDStreamException: `VALIDATION`, when it is none of these, is empty, or tells no size.
    """

    frames: Pictures = field(repr=False, converter=_to_frames)
    fps: float = 30.0
    size: tuple[int, int] | None = field(default=None, kw_only=True, converter=_to_size)
    loop: bool = field(default=False, kw_only=True)
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True, repr=False)
    format: VideoFormat = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        width, height = self.size or _size_of(self.frames)
        object.__setattr__(self, "format", VideoFormat(width, height, self.fps))

    async def open(self, sink: VideoSink) -> PacedReel:
        """Start to deliver frames to `sink`, paced in real time, the first as soon as it is made.

        What is no picture, or raises, ends the stream: `wait_ended` raises it. Cancelling is safe:
        it does not wait for anything.
        """
        return PacedReel(_reel(self), sink, self.clock, name="utd_rx.video frames")


def _size_of(frames: object) -> tuple[int, int]:
    if isinstance(frames, np.ndarray):
        if frames.ndim != 4 or not len(frames) or not is_rgb(frames[0]):
            raise invalid(
                f"frames must be uint8 of (n, height, width, 3), not {frames.dtype} of "
                f"{frames.shape}"
            )
        return int(frames.shape[2]), int(frames.shape[1])
    if isinstance(frames, Sequence) and len(frames):
        first = frames[0].pixels if isinstance(frames[0], VideoFrame) else frames[0]
        if is_rgb(first):
            return int(first.shape[1]), int(first.shape[0])
    if callable(frames) or (isinstance(frames, Iterable) and not isinstance(frames, Sequence)):
        raise invalid("what is made while it is shown tells no size: pass size=(width, height)")
    raise invalid(
        "frames are an array of uint8 (n, height, width, 3), an iterable of pictures, or a "
        f"function that makes them, not {type(frames).__name__}"
    )


def _reel(source: FrameSource) -> Reel:
    numbers = count()
    while True:
        is_empty = True
        for picture in _pictures(source.frames):
            is_empty = False
            frame = picture if isinstance(picture, VideoFrame) else VideoFrame(picture)
            yield evolve(frame, timestamp=next(numbers) / source.fps)
        if is_empty or not source.loop:
            return


def _pictures(frames: Pictures) -> Iterable[Picture]:
    # What an app gave is returned as it is: a generator around it would close an iterator of its.
    return _made(frames) if callable(frames) else frames


def _made(make: Callable[[int], Picture | None]) -> Iterable[Picture]:
    for number in count():
        picture = make(number)
        if picture is None:
            return
        yield picture
