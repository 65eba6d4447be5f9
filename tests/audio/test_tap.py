"""Whatever pieces a speaker mixes, who listens gets whole frames, in order, with their time."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.audio.playing import Tap
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples

FORMAT = AudioFormat(48_000, 2)


def piece(start: int, count: int) -> Samples:
    numbers = np.arange(start, start + count).astype(np.int16)
    return np.repeat(numbers[:, np.newaxis], 2, axis=1)


@given(st.lists(st.integers(0, 1200), max_size=30))
def test_frames_are_whole_in_order_and_say_when_they_are_heard(sizes: list[int]) -> None:
    tap, frames = Tap(FORMAT), list[AudioFrame]()
    tap.listen(frames.append)
    sent = 0
    for size in sizes:
        tap.push(piece(sent, size), 100 + sent / 48_000)
        sent += size
    assert len(frames) == sent // 480
    for number, frame in enumerate(frames):
        assert np.array_equal(frame.samples, piece(480 * number, 480))
        assert not frame.samples.flags.writeable
        assert frame.at == pytest.approx(100 + number / 100)


def test_who_comes_later_begins_with_what_is_mixed_then_and_who_stopped_hears_no_more() -> None:
    tap, frames = Tap(FORMAT), list[AudioFrame]()
    tap.push(piece(0, 300), 0.0)
    first, second = tap.listen(frames.append), tap.listen(frames.append)
    tap.push(piece(300, 480), 0.0)
    assert [int(frame.samples[0, 0]) for frame in frames] == [300, 300]
    first()
    first()
    tap.push(piece(780, 480), 0.0)
    assert len(frames) == 3
    second()
    tap.push(piece(1260, 480), 0.0)
    assert len(frames) == 3


def test_a_listener_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    tap, frames = Tap(FORMAT), list[AudioFrame]()

    def broken(frame: AudioFrame) -> None:
        raise LookupError("an app's sink")

    tap.listen(broken)
    tap.listen(frames.append)
    with caplog.at_level(logging.ERROR, "utd_rx.audio"):
        tap.push(piece(0, 1_440), 0.0)
        tap.push(piece(1_440, 480), 0.0)
    assert [int(frame.samples[0, 0]) for frame in frames] == [0, 480, 960, 1_440]
    assert "an audio sink raised (4 times so far)" in caplog.text
    assert "(3 times" not in caplog.text
