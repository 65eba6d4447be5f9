"""`play`: what is heard is the samples, and what is seen the pictures, for as long as they took."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
import pytest
from IPython.display import Audio, Image
from PIL import Image as Pictures

from utd_rx import AudioFrame, UTDErrorCode, UTDStreamException, VideoFrame
from utd_rx.notebook import play
from utd_rx.notebook.playing import MAX_PICTURES, MAX_ROWS


def sound(value: int, channels: int = 1) -> AudioFrame:
    return AudioFrame(np.full((480, channels), value, np.int16), 48_000)


def picture(value: int, at: float, rows: int = 32, rotation: int = 0) -> VideoFrame:
    return VideoFrame(np.full((rows, 2 * rows, 3), value, np.uint8), at, rotation)


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_is_played_to_the_sample(channels: int) -> None:
    shown = play(frame for frame in (sound(-5, channels), sound(32_767, channels)))
    assert isinstance(shown, Audio)
    with wave.open(io.BytesIO(shown.data)) as file:
        assert (file.getframerate(), file.getnchannels()) == (48_000, channels)
        samples = np.frombuffer(file.readframes(960), "<i2").reshape(-1, channels)
    assert (samples[:480] == -5).all()
    assert (samples[480:] == 32_767).all()


def test_pictures_are_a_film_that_takes_as_long_as_they_did() -> None:
    shown = play([picture(0, 5.0), picture(100, 5.25), picture(200, 6.0)])
    assert isinstance(shown, Image)
    film = Pictures.open(io.BytesIO(shown.data))
    seen = []
    for number in range(getattr(film, "n_frames")):  # noqa: B009 - of Pillow's animated kinds only
        film.seek(number)
        seen.append((np.asarray(film.convert("RGB")).mean(), film.info["duration"]))
    assert seen == [(0, 250), (100, 750), (200, 1000)]


def test_a_film_is_upright_small_and_not_too_long() -> None:
    shown = play([picture(n % 250, n / 30, 2 * MAX_ROWS, 90) for n in range(3)])
    assert Pictures.open(io.BytesIO(shown.data)).size == (MAX_ROWS // 2, MAX_ROWS)
    shown = play([picture(n % 250, n / 30) for n in range(2 * MAX_PICTURES + 1)])
    film = Pictures.open(io.BytesIO(shown.data))
    assert getattr(film, "n_frames") <= MAX_PICTURES  # noqa: B009 - of Pillow's animated kinds only


@pytest.mark.parametrize(
    "frames", [[], [sound(1), picture(1, 0.0)], [sound(1), sound(1, channels=2)], ["no frame"]]
)
def test_what_cannot_be_played_is_refused(frames: list[Any]) -> None:
    with pytest.raises(UTDStreamException) as refused:
        play(frames)
    assert refused.value.code is UTDErrorCode.VALIDATION
