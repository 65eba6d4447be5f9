"""A speaker is a handle: its state is the app's to read, its mix is found where it is alive."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from tests.audio.cards import fake_cards
from utd_rx.audio.playing import PlayingDevice
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.models.devices import DeviceKey
from utd_rx.ports import living
from utd_rx.ports.audio import SpeakerSettings
from utd_rx.testing.audio import FakeAudio
from utd_rx.testing.clock import FakeClock


def frame(value: int) -> AudioFrame:
    return AudioFrame(np.full((480, 1), value, np.int16), 48_000)


async def test_a_voice_may_come_before_the_speaker_is_open_and_its_key_names_the_mix() -> None:
    clock = FakeClock()
    audio = FakeAudio(clock)
    speaker = Speaker(backend=audio)
    own, routed = speaker.voice("own"), living.find(speaker.key).voice("a track")
    await speaker.open()
    for voice in (own, routed):
        for _ in range(5):
            voice(frame(1_000))
    clock.advance(0.03)
    assert int(audio.played(speaker.key)[-1, 0]) == 2_000
    await speaker.aclose()


async def test_who_listens_gets_what_is_played_after_volume_and_mute() -> None:
    clock = FakeClock()
    speaker, frames = Speaker(backend=FakeAudio(clock)), list[AudioFrame]()
    stop = speaker.listen(frames.append)
    voice = speaker.voice("somebody")
    await speaker.open()
    speaker.set_volume(0.5)
    for _ in range(5):
        voice(frame(1_000))
    clock.advance(0.03)
    assert int(frames[-1].samples[-1, 0]) == 500
    speaker.mute()
    clock.advance(0.02)
    assert (int(frames[-1].samples[-1, 0]), speaker.muted.value) == (0, True)
    stop()
    count = len(frames)
    clock.advance(0.1)
    assert len(frames) == count
    await speaker.aclose()


async def test_what_is_there_before_it_is_due_is_no_delay_of_the_speaker() -> None:
    clock = FakeClock()
    audio = FakeAudio(clock)
    speaker = Speaker(backend=audio)
    ahead, live = speaker.voice("agent", margin=0.0), speaker.voice("somebody")
    await speaker.open()
    ahead(AudioFrame(np.full((48_000, 1), 500, np.int16), 48_000))
    for _ in range(5):
        live(frame(1_000))
    clock.advance(0.02)
    assert int(audio.played(speaker.key)[-1, 0]) == 1_500
    await speaker.close()
    told = living.find(speaker.key).teller.state.statistics
    assert told.voices == 2
    assert told.depth == live.waiting == pytest.approx(0.03)
    assert ahead.waiting == pytest.approx(0.98)
    await speaker.aclose()


async def test_a_speaker_that_was_closed_may_be_opened_again_and_its_voices_are_there() -> None:
    clock = FakeClock()
    audio = FakeAudio(clock)
    speaker = Speaker(backend=audio)
    voice = speaker.voice("agent", margin=0.0)
    for value in (100, 200):
        await speaker.open()
        voice(frame(value))
        clock.advance(0.01)
        assert int(audio.played(speaker.key)[-1, 0]) == value
        await speaker.close()
        await speaker.close()
        assert speaker.device.value is None
    await speaker.aclose()
    await speaker.close()


@pytest.mark.parametrize(("block", "samples"), [(None, 240), (0.02, 960)])
async def test_a_device_is_opened_with_blocks_of_5_ms_or_as_long_as_is_wished(
    block: float | None, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_cards(monkeypatch) as cards:
        usual = Speaker("card", media="inline")
        speaker = usual if block is None else Speaker("card", block=block, media="inline")
        await speaker.open()
        assert cards.outputs[-1].block == samples
        await speaker.aclose()


async def test_values_stay_readable_after_the_end() -> None:
    clock = FakeClock()
    speaker, ended = Speaker(backend=FakeAudio(clock), volume=0.25), list[bool]()
    await speaker.open()
    clock.advance(1.0)
    await speaker.aclose()
    speaker.state.subscribe(on_completed=lambda: ended.append(True))
    assert ended == [True]
    assert (speaker.volume.value, speaker.device.value) == (0.25, None)
    assert speaker.position == pytest.approx(1.0)
    with pytest.raises(UTDStreamException) as caught:
        speaker.set_volume(1.0)
    assert caught.value.reason is ConflictReason.CLOSED
    assert speaker.volume.value == 0.25


@pytest.mark.parametrize("volume", [-0.1, 4.1, float("nan"), "loud"])
async def test_a_volume_out_of_range_is_refused(volume: float) -> None:
    speaker = Speaker()
    with pytest.raises(UTDStreamException) as caught:
        speaker.set_volume(volume)
    assert caught.value.code is UTDErrorCode.VALIDATION
    with pytest.raises(UTDStreamException):
        Speaker(volume=volume)
    assert speaker.volume.value == 1.0
    await speaker.aclose()


def test_a_speaker_that_nobody_holds_is_forgotten() -> None:
    speaker = Speaker()
    key = speaker.key
    del speaker
    gc.collect()
    with pytest.raises(UTDStreamException) as caught:
        living.find(key)
    assert caught.value.code is UTDErrorCode.NOT_FOUND


@pytest.mark.parametrize(("block", "room"), [(0.0025, 0.0025), (0.005, 0.0025), (0.01, 0.005)])
def test_a_voice_has_room_for_a_slip_of_half_a_block(block: float, room: float) -> None:
    """At 44.1 kHz a sound server asks for a block of 10 ms 3.7 ms late, four times a second."""
    assert PlayingDevice(DeviceKey("speaker"), SpeakerSettings(block=block)).mixer.burst == room
