"""`TestPattern`: a moving picture that says which frame it is, also after it was encoded.

The upper third holds 32 blocks, two rows of 16, black for 0 and white for 1: 24 bits of the frame's
number, then 8 that prove it. A block is large beside what a codec smears, and all are relative to
the picture's size, so that a picture that was scaled on its way is read as well. Below a bar moves
over colours, 1/64 of the width a frame, so that an encoder always has something to do.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from utd_rx.models.checks import typed
from utd_rx.models.video import Pixels, VideoFormat, VideoFrame, VideoSink, is_rgb
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.video.pacer import PacedPictures

COLUMNS: Final = 16
ROWS: Final = 2
COUNTERS: Final = 1 << 24
"""Numbers there are before they start again: 6 days at 30 frames per second."""

_BITS: Final = np.arange(COLUMNS * ROWS)[::-1].astype(np.uint32)
_PLACES: Final = np.uint32(1) << _BITS
_BAR_STEPS: Final = 64
_POINTS: Final = 4  # of a block that are looked at, each way
_DARK, _BRIGHT = 96.0, 160.0
"""Between them a block is neither: of a picture that is no pattern."""

_COLOURS: Final = np.array(
    [(192, 192, 192), (192, 192, 0), (0, 192, 192), (0, 192, 0),
     (192, 0, 192), (192, 0, 0), (0, 0, 192), (64, 64, 64)], np.uint8,
)  # fmt: skip


@frozen(field_transformer=typed)
class TestPattern:
    """A camera without a camera: a moving pattern whose frames are numbered.

    `read_counter` reads the number of a frame that has been sent through VP8 or H.264. Each opening
    begins at 0. At 640×360 a frame costs 0.08 ms, at 1280×720 0.2 ms, on the event loop.

    Args:
        width: In pixels, 64 to 4096.
        height: In pixels, 36 to 4096.
        fps: Frames per second.
        clock: Paces the frames; for tests.

    Raises:
        ValueError: A number out of its range.
    """

    __test__ = False  # for pytest, which takes what is called so for a test

    width: int = 640
    height: int = 360
    fps: float = 30.0
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        VideoFormat(self.width, self.height, self.fps)
        if self.width < 4 * COLUMNS or self.height < 36:
            raise ValueError(
                f"a test pattern is at least 64×36, not {self.width}×{self.height}: its blocks "
                "would not outlive a codec"
            )

    @property
    def format(self) -> VideoFormat:
        """The format of its frames."""
        return VideoFormat(self.width, self.height, self.fps)

    def picture(self, number: int) -> Pixels:
        """Return the picture of a frame, uint8 RGB `(height, width, 3)`."""
        return _draw(self.width, self.height, number)

    async def open(self, sink: VideoSink) -> PacedPictures:
        """Start to deliver frames to `sink`, paced in real time, the first at once.

        Cancelling is safe: it does not wait for anything.
        """
        make = partial(_draw, self.width, self.height)
        return PacedPictures(make, self.fps, sink, self.clock, name="utd_rx.video test pattern")


def read_counter(frame: VideoFrame | Pixels) -> int | None:
    """Return the number of a `TestPattern`'s frame, None when it shows none that is whole.

    Args:
        frame: A frame, or pixels: uint8 RGB `(height, width, 3)`, at any scale. It costs 0.04 ms.
    """
    pixels: Any = frame.pixels if isinstance(frame, VideoFrame) else frame
    if not is_rgb(pixels):
        return None
    height, width = pixels.shape[:2]
    points = pixels[_inner(height // 3, ROWS)[:, np.newaxis], _inner(width, COLUMNS)]
    brightness = points.reshape(ROWS, _POINTS, COLUMNS, _POINTS, 3).mean(axis=(1, 3, 4)).ravel()
    if ((brightness > _DARK) & (brightness < _BRIGHT)).any():
        return None
    word = int(_PLACES[brightness >= _BRIGHT].sum())
    number = word >> 8
    return number if word == _word_of(number) else None


def _edges(size: int, parts: int) -> list[int]:
    return [size * part // parts for part in range(parts + 1)]


@lru_cache(maxsize=16)
def _inner(size: int, parts: int) -> npt.NDArray[np.intp]:
    """Return where each part is looked at: within its inner half, as a codec smears the edges."""
    edges = np.array(_edges(size, parts))
    begins, lengths = edges[:-1, np.newaxis], np.diff(edges)[:, np.newaxis]
    offsets = 0.25 + 0.5 * (np.arange(_POINTS) + 0.5) / _POINTS
    return (begins + lengths * offsets).astype(np.intp).ravel()


def _word_of(number: int) -> int:
    """Return 24 bits of a frame's number and 8 that prove it, which is never all of one colour."""
    return number << 8 | ((number * 0x9E3779B1 >> 16) & 0xFF ^ 0xA5)


def _draw(width: int, height: int, number: int) -> Pixels:
    """Return the picture of a frame: numbers above, and a bar that moves below."""
    picture = np.empty((height, width, 3), np.uint8)
    flat = picture.reshape(height, width * 3)  # of whole rows, which are copied in one go
    bits = (np.uint32(_word_of(number % COUNTERS)) >> _BITS & 1).astype(np.uint8) * np.uint8(255)
    rows, widths = _edges(height // 3, ROWS), np.diff(_edges(width, COLUMNS))
    for row, blocks in enumerate(bits.reshape(ROWS, COLUMNS)):
        flat[rows[row] : rows[row + 1]] = np.repeat(blocks, widths * 3)
    line = _COLOURS[np.arange(width) * len(_COLOURS) // width]
    left = width * (number % _BAR_STEPS) // _BAR_STEPS
    line[left : left + max(1, width // 32)] = 255
    flat[height // 3 :] = line.reshape(-1)
    return picture
