"""Whatever blocks a device gives, frames are 10 ms, in order, and nothing is lost uncounted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.cards import connect
from utd_rx.audio.capture import MAX_CATCH_UP, CaptureConnection, CaptureSide
from utd_rx.models.audio import AudioFormat, AudioFrame
from utd_rx.ports.audio import MICROPHONE_BLOCK


def connection(rate: int, channels: int = 1) -> CaptureConnection:
    """Return one without a device: the callback's side is the test's."""
    return connect(CaptureConnection, rate, channels, 0.01)


@given(
    st.lists(st.tuples(st.integers(1, 1200), st.booleans()), max_size=40),
    st.sampled_from([8_000, 44_100, 48_000]),
    st.integers(1, 2),
)
def test_frames_are_whole_in_order_and_conserved(
    blocks: list[tuple[int, bool]], rate: int, channels: int
) -> None:
    audio_format, frames = AudioFormat(rate, channels), list[AudioFrame]()
    side, device = CaptureSide(audio_format, 0.005, frames.append), connection(rate, channels)
    side.adopt(device)
    sent = 0
    for size, is_taken in blocks:
        block = np.arange(sent, sent + size).astype(np.int16)[:, np.newaxis]
        device.callback(np.repeat(block, channels, axis=1).tobytes(), size, None, None)
        sent += size
        if is_taken:
            before = len(frames)
            side.work()
            size_at_once = (len(frames) - before) * audio_format.samples_per_frame
            assert size_at_once <= MAX_CATCH_UP * rate + audio_format.samples_per_frame
    size = audio_format.samples_per_frame
    assert all(frame.samples.shape == (size, channels) for frame in frames)
    assert all(not frame.samples.flags.writeable for frame in frames)
    held = round(side.depth * rate)
    assert sent == len(frames) * size + side.skipped + device.ring.overrun + held
    values = [int(v) for frame in frames for v in frame.samples[:, 0].astype(np.uint16)]
    assert values == sorted(values)  # fewer than 65,536 samples, so none wraps around


def test_what_the_callback_cuts_itself_is_a_copy_past_the_ring() -> None:
    frames: list[AudioFrame] = []
    side, device = CaptureSide(AudioFormat(), 0.02, frames.append), connection(48_000)
    side.adopt(device)
    device.wake = side.work
    sound = np.arange(3 * 960).astype(np.int16)
    for begin in range(0, len(sound), 960):
        buffer = bytearray(sound[begin : begin + 960].tobytes())
        device.callback(buffer, 960, None, None)
        buffer[:] = bytes(len(buffer))  # the card's, which it fills anew
    assert np.array_equal(np.concatenate([frame.samples[:, 0] for frame in frames]), sound)
    assert (device.ring.written, side.depth) == (0, 0.0)


def test_after_a_stall_packets_end_with_a_block_as_before() -> None:
    frames: list[AudioFrame] = []
    side, device = CaptureSide(AudioFormat(), MICROPHONE_BLOCK, frames.append), connection(48_000)
    side.adopt(device)
    block = np.zeros(round(MICROPHONE_BLOCK * 48_000), np.int16).tobytes()
    for _ in range(7):
        device.callback(block, len(block) // 2, None, None)
    side.work()
    assert side.skipped > 0
    assert len(frames) % 2 == 0


@given(st.lists(st.tuples(st.integers(1, 1200), st.booleans()), max_size=40))
def test_blocks_are_in_order_whoever_cuts_them(blocks: list[tuple[int, bool]]) -> None:
    frames: list[AudioFrame] = []
    side, device = CaptureSide(AudioFormat(), 0.02, frames.append), connection(48_000)
    side.adopt(device)
    sent = 0
    for size, is_at_once in blocks:
        device.wake = side.work if is_at_once else (lambda: None)
        block = np.arange(sent, sent + size).astype(np.int16)
        device.callback(block.tobytes(), size, None, None)
        sent += size
    values = [int(v) for frame in frames for v in frame.samples[:, 0].astype(np.uint16)]
    assert values == sorted(values)
    held = round(side.depth * 48_000)
    assert sent == len(values) + side.skipped + device.ring.overrun + held


@pytest.mark.parametrize(
    ("rate", "channels"), [(44_100, 2), (16_000, 1), (96_000, 2), (192_000, 1)]
)
def test_a_device_of_another_format_gives_the_wished_frames(rate: int, channels: int) -> None:
    pytest.importorskip("soxr")
    wished, device_format = AudioFormat(48_000, 1), AudioFormat(rate, channels)
    frames: list[AudioFrame] = []
    side, device = CaptureSide(wished, 0.01, frames.append), connection(rate, channels)
    side.adopt(device)
    size = device_format.samples_per_frame
    for number in range(100):
        at = np.arange(number * size, (number + 1) * size) / rate
        tone = (8000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)
        device.callback(
            np.repeat(tone[:, np.newaxis], channels, axis=1).tobytes(), size, None, None
        )
        side.work()
    assert 95 <= len(frames) <= 100
    heard = np.concatenate([frame.samples for frame in frames])[4800:, 0]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    peak = int(np.argmax(spectrum)) * 48_000 / len(heard)
    assert peak == pytest.approx(440, abs=2)
    assert np.max(np.abs(heard)) == pytest.approx(8000, rel=0.02)


@pytest.mark.parametrize("rate", [48_000, 44_100, 16_000, 8_000, 11_025])
def test_a_frame_knows_when_it_was_heard_whatever_the_conversion_holds_back(rate: int) -> None:
    pytest.importorskip("soxr")
    wished, frames, block = AudioFormat(48_000, 1), list[AudioFrame](), rate // 100
    side, device = CaptureSide(wished, 0.01, frames.append), connection(rate)
    side.adopt(device)
    sound = np.zeros((2 * rate, 1), np.int16)
    sound[rate : rate + rate // 500] = 20_000  # a click after one second
    for end in range(block, len(sound), block):
        device.ring.write(sound[end - block : end])
        device.heard_at = end / rate
        side.work()
        last = frames[-1].at + frames[-1].duration if frames else 0.0
        assert last + side.depth == pytest.approx(device.heard_at)
    loud = next(frame for frame in frames if np.any(frame.samples > 10_000))
    at = loud.at + int(np.argmax(loud.samples > 10_000)) / wished.sample_rate
    assert at == pytest.approx(1.0, abs=0.0005)
