"""PyAV, loaded when it is needed: what it says becomes this package's words and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.video import MAX_SIDE, Pixels

if TYPE_CHECKING:
    import av


def load(purpose: str) -> Any:
    """Return the `av` module, or say how to install it: `FEATURE_DISABLED`."""
    try:
        import av
    except ImportError as error:
        raise UTDStreamException(
            f"{purpose} needs PyAV, which is not installed: pip install 'utd-rx[camera]'",
            code=UTDErrorCode.FEATURE_DISABLED,
        ) from error
    return av


@contextmanager
def reading(what: object) -> Iterator[None]:
    """Tell as `VALIDATION` why a file cannot be read."""
    try:
        yield
    except UTDStreamException:
        raise
    except (OSError, ValueError) as error:  # FFmpeg's own are one or the other
        told = getattr(error, "strerror", None) or error
        raise invalid(f"{what} cannot be read: {told}") from error


def fitting(
    width: int, height: int, most: tuple[int, int] = (MAX_SIDE, MAX_SIDE)
) -> tuple[int, int]:
    """Return the size a picture has when it is made small enough for `most`, and never larger."""
    scale = min(1.0, most[0] / width, most[1] / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def to_pixels(frame: av.VideoFrame, size: tuple[int, int]) -> Pixels:
    """Return a frame of PyAV's as uint8 RGB, of `(width, height)`."""
    # Half of what FFmpeg's own choice costs, and what pictures that are made smaller look best in.
    made: Any = frame.to_ndarray(
        format="rgb24", width=size[0], height=size[1], interpolation="AREA"
    )
    pixels: Pixels = made
    return pixels
