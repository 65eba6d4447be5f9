"""Sound and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from utd_rx.models.audio import AudioFormat, AudioFrame, Samples
from utd_rx.models.video import MIN_SIDE, VideoFormat, VideoFrame
from utd_rx.testing.strategies.words import SECONDS


def audio_formats() -> SearchStrategy[AudioFormat]:
    """Formats: those that devices have, and any other that is one."""
    usual = st.sampled_from([48_000, 44_100, 16_000, 8_000, 24_000])
    rates = usual | st.integers(80, 1_920).map(lambda hundreds: hundreds * 100)
    return st.builds(AudioFormat, rates, st.integers(1, 2))


def audio_frames(form: AudioFormat | None = None) -> SearchStrategy[AudioFrame]:
    """10 ms of silence, a tone, noise, a click or clipping: int16, `(samples, channels)`."""

    @st.composite
    def one(draw: DrawFn) -> AudioFrame:
        found = form or draw(audio_formats())
        shape = found.samples_per_frame, found.channels
        samples = draw(st.sampled_from(_SOUNDS))(draw(st.integers(0, 99)), *shape)
        samples.flags.writeable = False
        return AudioFrame(samples, found.sample_rate, draw(SECONDS))

    return one()


def _tone(number: int, count: int, channels: int) -> Samples:
    wave = 10_000 * np.sin(np.arange(count) * (number + 1) * 2 * np.pi / count)
    return np.repeat(wave.astype(np.int16)[:, None], channels, axis=1)


def _noise(number: int, count: int, channels: int) -> Samples:
    chance = np.random.default_rng(number)
    return chance.integers(-3_000, 3_000, (count, channels), dtype=np.int16)


def _click(number: int, count: int, channels: int) -> Samples:
    samples = np.zeros((count, channels), np.int16)
    samples[number % count] = 32_767
    return samples


_SOUNDS: Final[Sequence[Callable[[int, int, int], Samples]]] = (
    lambda _, count, channels: np.zeros((count, channels), np.int16),
    _tone,
    _noise,
    _click,
    lambda number, *shape: np.full(shape, -32_768 if number % 2 else 32_767, np.int16),
)


def video_formats() -> SearchStrategy[VideoFormat]:
    """Formats: those that cameras have, and any other that is one."""
    usual = st.sampled_from([(640, 360), (320, 180), (1_280, 720), (MIN_SIDE, MIN_SIDE)])
    sides = usual | st.tuples(st.integers(MIN_SIDE, 4_096), st.integers(MIN_SIDE, 4_096))
    rates = st.sampled_from([30.0, 15.0, 60.0]) | st.floats(0.5, 120.0)
    return st.builds(lambda size, fps: VideoFormat(size[0], size[1], fps), sides, rates)


@st.composite
def video_frames(draw: DrawFn, *, max_side: int = 64) -> VideoFrame:
    """Small pictures of one colour or of noise: uint8 RGB, `(height, width, 3)`."""
    sides = st.integers(MIN_SIDE, max_side)
    shape = draw(sides), draw(sides), 3
    if draw(st.booleans()):
        chance = np.random.default_rng(draw(st.integers(0, 99)))
        pixels = chance.integers(0, 256, shape, dtype=np.uint8)
    else:
        pixels = np.full(shape, draw(st.tuples(*[st.integers(0, 255)] * 3)), np.uint8)
    return VideoFrame(pixels, draw(SECONDS), draw(st.sampled_from([0, 90, 180, 270])))
