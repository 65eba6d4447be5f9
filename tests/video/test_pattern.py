"""Every frame says which one it is, at any size, and nothing else is taken for one."""

from __future__ import annotations

import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.virtual_clock import VirtualClock
from utd_rx.models.video import VideoFormat, VideoFrame
from utd_rx.video import TestPattern, read_counter
from utd_rx.video.pattern import COUNTERS

SIZES = [(64, 36), (320, 180), (426, 240), (641, 361), (360, 640), (1280, 720)]


@given(st.sampled_from(SIZES), st.integers(0, COUNTERS - 1))
def test_the_number_of_a_frame_is_read_from_it(size: tuple[int, int], number: int) -> None:
    picture = TestPattern(*size).picture(number)
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.uint8
    assert read_counter(picture) == read_counter(VideoFrame(picture)) == number


@given(st.integers(0, COUNTERS - 1), st.sampled_from([2, 3, 4]), st.integers(0, 2**32 - 1))
def test_it_is_read_from_a_picture_made_smaller_and_noisy(
    number: int, scale: int, seed: int
) -> None:
    small = TestPattern().picture(number)[::scale, ::scale].astype(int)
    noise = np.random.RandomState(seed).randint(-60, 61, small.shape)
    assert read_counter(np.clip(small + noise, 16, 235).astype(np.uint8)) == number


@given(st.integers(0, COUNTERS - 1), st.integers(0, 31))
def test_a_block_that_flipped_makes_it_none(number: int, block: int) -> None:
    picture = TestPattern().picture(number)
    row, column = divmod(block, 16)
    where = slice(row * 60, row * 60 + 60), slice(column * 40, column * 40 + 40)
    picture[where] = 255 - picture[where]
    assert read_counter(picture) is None


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((360, 640, 3), np.uint8),
        np.full((360, 640, 3), 255, np.uint8),
        np.full((360, 640, 3), 128, np.uint8),
        np.zeros((360, 640), np.uint8),
        np.zeros((360, 640, 3)),
        b"no picture",
    ],
)
def test_what_shows_no_pattern_has_no_number(pixels: Any) -> None:
    assert read_counter(pixels) is None


def test_neighbours_differ_below_the_numbers_too() -> None:
    pattern = TestPattern()
    below = [pattern.picture(number)[120:] for number in range(65)]
    assert all((one != other).any() for one, other in pairwise(below))
    assert (below[64] == below[0]).all()


def test_the_numbers_start_again_when_they_are_used_up() -> None:
    assert read_counter(TestPattern().picture(COUNTERS + 5)) == 5


def test_it_is_a_small_value() -> None:
    pattern = TestPattern(320, 180, 15)
    assert pattern.format == VideoFormat(320, 180, 15)
    words = pickle.dumps(pattern)
    assert len(words) < 1_000
    assert pickle.loads(words) == pattern


@pytest.mark.parametrize("size", [(63, 36), (64, 35), (5_000, 360)])
def test_a_size_that_cannot_carry_it_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"width|height|64×36"):
        TestPattern(*size)


async def test_frames_are_numbered_paced_and_read_only() -> None:
    clock, frames = VirtualClock(), list[VideoFrame]()
    stream = await TestPattern(fps=25, clock=clock).open(frames.append)
    await clock.advance(0.999)
    await stream.aclose()
    await stream.aclose()
    await clock.advance(1.0)
    assert [read_counter(frame) for frame in frames] == list(range(25))
    assert [frame.timestamp for frame in frames] == [1000.0 + n / 25 for n in range(25)]
    with pytest.raises(ValueError, match="read-only"):
        frames[0].pixels[0, 0, 0] = 1
    assert (stream.delivered_frames, stream.skipped_frames) == (25, 0)


async def test_what_a_stall_made_old_is_left_out() -> None:
    clock, frames = VirtualClock(), list[VideoFrame]()
    stream = await TestPattern(fps=10, clock=clock).open(frames.append)
    await clock.advance(0.15)
    await clock.stall(1.0)
    await clock.advance(0.1)
    await stream.aclose()
    assert [read_counter(frame) for frame in frames] == [0, 1, 11, 12]
    assert stream.skipped_frames == 9


async def test_a_sink_that_raises_ends_it_and_is_told() -> None:
    clock = VirtualClock()

    def full(frame: VideoFrame) -> None:
        raise OSError("full")

    stream = await TestPattern(clock=clock).open(full)
    await clock.advance(0.1)
    with pytest.raises(OSError, match="full"):
        await stream.wait_ended()
    await stream.aclose()
