"""Pictures as values: formats, frames, and what it takes to be a source of them.

Inside the SDK a picture is uint8 RGB, rows from the top.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from attrs.validators import ge, gt, in_, le

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models.audio import AudioInputStream
from utd_rx.models.checks import source as check_source
from utd_rx.models.checks import typed
from utd_rx.models.devices import CameraChoice, CameraDevice
from utd_rx.models.png import png
from utd_rx.models.value import Value

MIN_SIDE: Final = 16
"""Pixels: a macroblock of VP8 and H.264."""

MAX_SIDE: Final = 4096
"""Pixels: what is called 4K, and what encoders take."""

MAX_FPS: Final = 120.0

Pixels: TypeAlias = npt.NDArray[np.uint8]

_UINT8: Final = np.dtype(np.uint8)
_SIDES: Final = [ge(MIN_SIDE), le(MAX_SIDE)]


def is_rgb(pixels: object) -> bool:
    """Whether this is uint8 of shape `(height, width, 3)` and a size that can be sent."""
    return (
        isinstance(pixels, np.ndarray)
        and pixels.dtype == _UINT8
        and pixels.ndim == 3
        and pixels.shape[2] == 3
        and all(MIN_SIDE <= side <= MAX_SIDE for side in pixels.shape[:2])
    )


@frozen(field_transformer=typed)
class VideoFormat(Value):
    """A size in pixels (16–4096 each way) and frames per second (above 0, at most 120).

    Raises:
        ValueError: It is none.
    """

    width: int = field(default=640, validator=_SIDES)
    height: int = field(default=360, validator=_SIDES)
    fps: float = field(default=30.0, validator=[gt(0.0), le(MAX_FPS)])


def _rgb(pixels: Pixels) -> Pixels:
    if is_rgb(pixels):
        seen = pixels.view()
        seen.flags.writeable = False
        return seen
    is_array = isinstance(pixels, np.ndarray)
    what = f"{pixels.dtype} of {pixels.shape}" if is_array else type(pixels).__name__
    raise invalid(
        f"VideoFrame.pixels must be uint8 of (height, width, 3), {MIN_SIDE} to {MAX_SIDE} each way,"
        f" not {what}"
    )


@frozen(eq=False, field_transformer=typed, repr=False)
class VideoFrame:
    """One picture.

    Args:
        pixels: uint8 RGB, shape `(height, width, 3)`; kept read-only and not copied, so what made
            it does not change it any more.
        timestamp: When it was taken or received, in seconds of `time.monotonic()`.
        rotation: By how much it is to be turned clockwise to be upright: 0, 90, 180 or 270.

    Raises:
        ValueError: Pixels of another type or shape, or a rotation that is none.
    """

    pixels: Pixels = field(converter=_rgb)
    timestamp: float = 0.0
    rotation: int = field(default=0, validator=in_((0, 90, 180, 270)))

    def __repr__(self) -> str:
        turned = f", turned by {self.rotation}°" if self.rotation else ""
        return f"<VideoFrame {self.pixels.shape}{turned}>"

    def __reduce__(self) -> tuple[type[VideoFrame], tuple[Pixels, float, int]]:
        return VideoFrame, (self.pixels, self.timestamp, self.rotation)  # read-only there as well

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the pixels as they are, for `np.asarray(frame)`."""
        return np.array(self.pixels, dtype=dtype, copy=copy)

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def upright(self) -> Pixels:
        """The pixels turned by `rotation`: uint8 RGB, read-only, a view."""
        return np.rot90(self.pixels, -self.rotation // 90)

    def save(self, path: str | Path) -> None:
        """Write it as a PNG file, upright, lossless; an existing one is replaced.

        Blocks: for what a camera sees 20 ms at 640×360, 140 ms at 1920×1080, and the disk.

        Raises:
            UTDStreamException: `VALIDATION`, when the name does not end in `.png` or the file
                cannot be written.
        """
        if not isinstance(path, str | Path) or Path(path).suffix.lower() != ".png":
            raise invalid(f"a still is saved as a .png file, not as {path!r}")
        try:
            Path(path).write_bytes(png(self.upright))
        except (OSError, ValueError) as error:  # the latter of a name that no file can have
            told = getattr(error, "strerror", None) or error
            raise invalid(f"{str(path)!r} cannot be written: {told}") from error


VideoSink: TypeAlias = Callable[[VideoFrame], None]
"""Takes one frame; returns at once and never raises. May be called on any thread."""

VideoInputStream: TypeAlias = AudioInputStream
"""An open source of pictures: what is open ends and is closed alike."""


@runtime_checkable
class Losable(Protocol):
    """An open source that may lose its device and get it back, beside being a `VideoInputStream`.

    While it is lost it delivers nothing, and does not end.
    """

    def watch(self, told: Callable[[UTDStreamException | None], None]) -> None:
        """Call `told` on the loop that opened it with why the device is lost, and with None when
        it is back; at once when it is lost now. It takes the place of an earlier one."""


class VideoInput(Protocol):
    """A source of pictures as a value: a pattern, a file, a camera.

    It is only a description, small and picklable; `open` makes it run, in whichever process the
    room lives. It is opened anew after each time that its track was muted.
    """

    @property
    def format(self) -> VideoFormat:
        """What it delivers; what others receive at most."""

    async def open(self, sink: VideoSink) -> VideoInputStream:
        """Start to deliver frames to `sink`, paced in real time.

        A frame may be of another size than `format` says, as of a window whose size changes. Where
        frames come faster than they can be sent the newest counts and the others are dropped. A
        frame that is none ends the publication with `LocalTrackFailed`.

        Raises:
            UTDStreamException: The source cannot be opened.
        """


async def switched(source: VideoInput | None, to: VideoInput | CameraChoice) -> VideoInput:
    """Return what is to be published instead of `source`: an input as it is; of a `Camera`, the
    camera that is meant, or with None the next one there is.

    Raises:
        UTDStreamException: `VALIDATION`, when it is no input, or `source` is no camera; and as
            `Camera.other`.
    """
    if to is not None and not isinstance(to, str | CameraDevice):
        check_source(to, "to", "a VideoInput or a camera's name", VideoFormat)
        return to
    other = getattr(source, "other", None)
    if other is None:
        raise invalid("what is published is no Camera, so there is no other one: pass a VideoInput")
    found: VideoInput = await other(to)
    return found
