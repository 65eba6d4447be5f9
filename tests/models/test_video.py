"""Formats and frames of video: what is none is refused where it is made."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from utd_rx.models.video import VideoFormat, VideoFrame


def pixels(*shape: int, dtype: Any = np.uint8) -> Any:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    "numbers",
    [(15, 360), (640, 15), (4097, 360), (640, 4097), (640, 360, 0), (640, 360, 121), (640.5, 360),
     ("640", 360), (True, 360), (640, 360, float("nan"))],
)  # fmt: skip
def test_a_format_that_is_none_is_refused(numbers: Any) -> None:
    with pytest.raises(ValueError, match=r"width|height|fps"):
        VideoFormat(*numbers)


@pytest.mark.parametrize(
    "wrong",
    [pixels(360, 640), pixels(360, 640, 4), pixels(3, 360, 640), pixels(8, 640, 3),
     pixels(5_000, 640, 3), pixels(360, 640, 3, dtype=np.float32), b"\0" * 691_200, None],
)  # fmt: skip
def test_pixels_that_are_none_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"VideoFrame\.pixels must be uint8"):
        VideoFrame(wrong)


@pytest.mark.parametrize("rotation", [45, -90, 360])
def test_a_rotation_that_is_none_is_refused(rotation: int) -> None:
    with pytest.raises(ValueError, match="rotation"):
        VideoFrame(pixels(36, 64, 3), rotation=rotation)


def test_a_frame_shows_its_pixels_and_lets_nobody_change_them() -> None:
    made = pixels(36, 64, 3)
    frame = VideoFrame(made, 1.5, 90)
    assert (frame.width, frame.height, frame.timestamp, frame.rotation) == (64, 36, 1.5, 90)
    assert np.shares_memory(frame.pixels, made)
    assert not frame.pixels.flags.writeable
    assert made.flags.writeable  # its owner's array is as it was
    again = pickle.loads(pickle.dumps(frame))
    assert (again.pixels == frame.pixels).all()
    assert (again.timestamp, again.rotation) == (1.5, 90)
    assert not again.pixels.flags.writeable
