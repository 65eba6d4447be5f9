"""A microphone and a speaker on fake devices: what is said is heard, a second takes no time."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from utd_rx.audio.microphone import Microphone
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples
from utd_rx.models.devices import AudioDevice, AudioDirection
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.testing.audio import FakeAudio, fake_device
from utd_rx.testing.clock import FakeClock


def loud(seconds: float, value: int = 9_000) -> Samples:
    return np.full((round(48_000 * seconds), 1), value, np.int16)


async def told() -> None:
    """Let what was posted reach its observers."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_is_said_is_heard_in_frames_of_the_clock() -> None:
    clock = FakeClock()
    audio = FakeAudio(clock)
    microphone, frames = Microphone(backend=audio), list[AudioFrame]()
    await microphone.open(frames.append)
    audio.say(loud(0.015))
    clock.advance(0.03)
    assert [int(frame.samples[0, 0]) for frame in frames] == [9_000, 9_000, 0]
    assert [int(frame.samples[-1, 0]) for frame in frames] == [9_000, 0, 0]
    assert [frame.at for frame in frames] == pytest.approx([0.0, 0.01, 0.02])
    audio.say(loud(1.0), "second")
    await microphone.use("second")
    clock.advance(0.05)
    assert frames[-1].samples.all()
    await microphone.aclose()
    clock.advance(1.0)
    assert len(frames) == 8


async def test_level_activity_gain_and_mute_are_those_of_a_real_one() -> None:
    clock = FakeClock()
    audio = FakeAudio(clock)
    microphone, frames, seen = Microphone(backend=audio), list[AudioFrame](), list[AudioFrame]()
    microphone.frames.subscribe(seen.append)
    microphone.level.subscribe()  # else it is told only twice a second
    await microphone.open(frames.append)
    audio.say(loud(0.1))
    clock.advance(0.1)
    await told()
    level = microphone.level.value
    assert level == pytest.approx(-8.2, abs=0.1)
    assert microphone.speaking.value
    assert seen == frames
    microphone.set_gain(0.5)
    audio.say(loud(0.1))
    clock.advance(0.1)
    await told()
    assert microphone.level.value == pytest.approx(level - 6, abs=0.5)
    microphone.mute()
    audio.say(loud(0.1))
    clock.advance(0.1)
    assert not any(frame.samples.any() for frame in frames[-10:])
    clock.advance(0.5)
    await told()
    assert microphone.statistics.value.frames == 50
    await microphone.set_processing(VoiceProcessing(noise_suppression=True))
    assert microphone.processing.value.noise_suppression
    await microphone.aclose()


async def test_voices_are_mixed_into_memory() -> None:
    clock = FakeClock()
    audio = FakeAudio(clock)
    async with Speaker(backend=audio, volume=0.5) as speaker:
        voices = [speaker.voice(name) for name in ("a", "b")]
        for voice in voices:
            for _ in range(6):
                voice(AudioFrame(loud(0.01, 1_000), 48_000))
        clock.advance(0.05)
        sound = audio.played(speaker.key)
        assert len(sound) == 2_400
        assert int(sound[-1, 0]) == 1_000
        assert speaker.position == pytest.approx(0.05)
        speaker.flush()
        clock.advance(0.02)
        assert not audio.played(speaker.key)[-480:].any()
    assert speaker.device.value is None


async def test_an_unplugged_device_is_a_failure_until_it_is_back() -> None:
    clock = FakeClock()
    headset = fake_device("headset", AudioDirection.INPUT, is_default=True)
    audio = FakeAudio(clock, (headset, fake_device("box", AudioDirection.OUTPUT)))
    microphone, frames = Microphone(backend=audio), list[AudioFrame]()
    await microphone.open(frames.append)
    assert microphone.device.value == headset
    audio.unplug("headset", AudioDirection.INPUT)
    clock.advance(1.0)
    failure = await microphone.failure.until(lambda failure: failure is not None, timeout=5)
    assert failure is not None
    assert failure.code is UTDErrorCode.NOT_FOUND
    assert microphone.device.value is None
    assert (len(frames), microphone.statistics.value.lost) == (0, 1)
    audio.plug_in(AudioDevice("other", "other", AudioDirection.INPUT, 1, 48_000, False))
    clock.advance(1.0)
    assert frames == []
    audio.plug_in(headset)
    clock.advance(1.0)
    await microphone.failure.until(None, timeout=5)
    assert len(frames) == 100
    await microphone.aclose()


async def test_frames_have_the_format_that_is_asked_for() -> None:
    clock = FakeClock()
    microphone, frames = (
        Microphone(backend=FakeAudio(clock), format=AudioFormat(16_000, 2)),
        list[AudioFrame](),
    )
    await microphone.open(frames.append)
    clock.advance(0.01)
    assert [frame.samples.shape for frame in frames] == [(160, 2)]
    await microphone.aclose()
