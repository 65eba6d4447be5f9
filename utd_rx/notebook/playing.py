"""`play`: frames of sound or pictures, to be heard or seen below a cell."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from IPython.display import Audio, Image
from PIL import Image as Pictures

from utd_rx.errors import invalid
from utd_rx.models.audio import AudioFrame
from utd_rx.models.video import VideoFrame

MAX_ROWS: Final = 240
"""Of a film: larger pictures are reduced, for they become part of the notebook."""

MAX_PICTURES: Final = 150
"""Of a film; of more, every n-th is shown."""

LAST: Final = 1.0
"""Seconds for which a film's last picture stays."""


def play(frames: Iterable[AudioFrame] | Iterable[VideoFrame]) -> Audio | Image:
    """Show sound as a player, with the samples as they are, or pictures as a film that repeats.

    A film takes what the frames' timestamps say, has at most 150 pictures of 240 rows, and stays in
    the saved notebook, as a still where nothing moves.

    Args:
        frames: Of one kind; of sound, all of one format.

    Raises:
        UTDStreamException: `VALIDATION`: there are none, or they are of different kinds or formats.
    """
    found = tuple(frames)
    if found and all(isinstance(one, AudioFrame) for one in found):
        return Audio(data=wav(found))  # type: ignore[no-untyped-call,arg-type] # IPython
    if found and all(isinstance(one, VideoFrame) for one in found):
        return Image(data=film(found), format="png")  # type: ignore[no-untyped-call,arg-type] # IPython
    raise invalid("play takes AudioFrames or VideoFrames, at least one, all of one kind")


def wav(frames: Sequence[AudioFrame]) -> bytes:
    """Return a WAV file of frames, one after the other: int16, as they are.

    Raises:
        UTDStreamException: `VALIDATION`: they are of different formats.
    """
    formats = {(one.sample_rate, one.samples.shape[1]) for one in frames}
    if len(formats) != 1:
        raise invalid(f"sound to play is of one format, not of {sorted(formats)}")
    rate, channels = formats.pop()
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(np.concatenate([one.samples for one in frames]).astype("<i2").tobytes())
    return file.getvalue()


def film(frames: Sequence[VideoFrame]) -> bytes:
    """Return pictures as an animated PNG file, which is a still to who knows no animation."""
    frames = frames[:: -(-len(frames) // MAX_PICTURES)]
    pictures = [Pictures.fromarray(np.ascontiguousarray(one.upright)) for one in frames]
    width, height = pictures[0].size
    share = min(1.0, MAX_ROWS / height)
    size = max(1, round(width * share)), max(1, round(height * share))
    pictures = [one if one.size == size else one.resize(size) for one in pictures]
    times = [one.timestamp for one in frames]
    durations = [max(1, round(1000 * step)) for step in np.diff(times)]
    file = io.BytesIO()
    pictures[0].save(
        file,
        format="PNG",
        save_all=True,
        append_images=pictures[1:],
        duration=[*durations, round(1000 * LAST)],
        loop=0,
    )
    return file.getvalue()
