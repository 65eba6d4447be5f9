"""Devices of a world in genuine sessions: what one says, others hear, see, play and record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from utd_rx import (
    Microphone,
    Playback,
    Speaker,
    TrackSource,
    UTDAudioRoomSession,
    UTDErrorCode,
    UTDStreamException,
    WavRecorder,
    WavSource,
    play,
)
from utd_rx.models.audio import Samples
from utd_rx.models.devices import AudioDirection
from utd_rx.models.video import VideoFrame
from utd_rx.testing import FakeWorld
from utd_rx.testing.sound import compare
from utd_rx.video import TestPattern, read_counter

_AT = np.arange(48_000) / 48_000
_WAVE = np.sin(2 * np.pi * (200 + 400 * _AT) * _AT)
SWEEP: Samples = np.rint(8_000 * _WAVE).astype(np.int16)[:, np.newaxis]
"""A second from 200 to 1,000 Hz: no part is like another, and a jitter buffer, which stretches
sound a little, blurs none of it."""


def test_what_one_says_another_plays_on_a_whole_speaker() -> None:
    with FakeWorld() as world:
        anna = world.join_audio_room("anna", host=True)
        ben = world.join_audio_room("ben")
        world.run(ben.take_seat(1))
        speaker = Speaker(backend=world.audio)
        world.run(speaker.open())
        playing = world.run(_played(anna, speaker))
        world.settle()
        world.run(world.microphone("ben").say(SWEEP))
        world.advance(0.2)
        heard = world.audio.played(speaker.key)
        found = compare(SWEEP, heard, 48_000)
        assert (found.is_match, found.lost_seconds) == (True, 0.0)
        assert found.delay is not None
        assert 0.0 < found.delay < 0.05
        world.run(playing.aclose())
        world.run(speaker.aclose())


async def _played(session: UTDAudioRoomSession, speaker: Speaker) -> Playback:
    return play(session, speaker)


def test_a_whole_microphone_hears_what_its_device_hears_and_can_be_unplugged() -> None:
    with FakeWorld() as world:
        microphone = Microphone(backend=world.audio)
        anna = world.join_audio_room("anna", host=True)
        ben = world.join_audio_room("ben", microphone=microphone)
        heard: list[Samples] = []
        anna.audio("ben").subscribe(lambda frame: heard.append(frame.samples))
        world.run(ben.take_seat(1))
        world.settle()
        world.audio.say(SWEEP)
        world.advance(1.5)
        assert compare(SWEEP, np.concatenate(heard), 48_000).is_match
        world.audio.unplug("first", AudioDirection.INPUT)
        world.settle()
        assert microphone.failure.value is not None
        assert ben.microphone_enabled.value  # a lost device is waited for


def test_a_recorder_in_a_world_has_what_was_said(tmp_path: Path) -> None:
    with FakeWorld() as world:
        anna = world.join_audio_room("anna", host=True)
        ben = world.join_audio_room("ben")
        world.run(ben.take_seat(1))
        recorder = WavRecorder(tmp_path / "ben.wav")
        anna.audio("ben").subscribe(recorder)
        world.advance(1.0)
        world.run(world.microphone("ben").say(SWEEP))
        world.advance(1.0)
        recorder.close()
        assert WavSource(tmp_path / "ben.wav").duration == pytest.approx(3.0, abs=0.1)


def test_a_camera_of_a_live_stream_is_seen() -> None:
    with FakeWorld() as world:
        world.live_stream("hana")
        vera = world.join_live_stream("vera")
        seen: list[VideoFrame] = []
        vera.video("hana", source=TrackSource.CAMERA).subscribe(seen.append)
        world.settle()
        pattern = TestPattern(64, 36, 10)
        world.run(world.camera("hana").show(pattern.picture(7)))
        world.settle()
        assert [read_counter(frame) for frame in seen] == [7]


def test_what_is_said_is_seconds_or_sound() -> None:
    with FakeWorld() as world:
        microphone = world.microphone("anna")
        for wrong in (0.0, 1e9, SWEEP.astype(np.float32), np.zeros((10, 2), np.int16)):
            with pytest.raises(UTDStreamException) as refused:
                world.run(microphone.say(wrong))  # type: ignore[arg-type] # what is tested
            assert refused.value.code is UTDErrorCode.VALIDATION
        world.run(microphone.say(SWEEP))  # heard by nobody: it is not open
        assert world.now == pytest.approx(1.0)
