"""Formats and frames of video: what is none is refused where it is made."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_still_is_the_picture_upright_and_loses_nothing(tmp_path: Path, rotation: int) -> None:
    made = np.random.RandomState(rotation).randint(0, 256, (36, 65, 3)).astype(np.uint8)
    made[:18] = 7  # of one colour, too
    path = tmp_path / "still.PNG"
    VideoFrame(made, rotation=rotation).save(path)
    VideoFrame(made, rotation=rotation).save(str(path))  # in its place
    with Image.open(path) as still:
        assert still.mode == "RGB"
        assert (np.asarray(still) == np.rot90(made, -rotation // 90)).all()


@pytest.mark.parametrize(
    ("path", "told"),
    [("still.jpg", "as a .png file"), ("still", "as a .png file"), (7, "not as 7"),
     ("gone/still.png", "No such file"), (".png/", "as a .png file"),
     ("\0.png", "cannot be written: embedded null")],
)  # fmt: skip
def test_a_still_that_cannot_be_saved_is_refused(path: Any, told: str, tmp_path: Path) -> None:
    frame = VideoFrame(pixels(36, 64, 3))
    with pytest.raises(ValueError, match=told):
        frame.save(tmp_path / path if isinstance(path, str) else path)
    assert not list(tmp_path.iterdir())
