"""The agent is heard at its own pace to the last sample, silent at once, and told when it is."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.audio.virtual_clock import VirtualClock
from utd_rx.agent import speaking
from utd_rx.agent.outlets import DEAF
from utd_rx.agent.speaking import AgentPlayer
from utd_rx.audio import WavRecorder, read_wav
from utd_rx.audio.speaker import Speaker
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.devices import AudioDirection
from utd_rx.testing.audio import FakeAudio

RATE = 24_000


def chunk(value: int, seconds: float = 0.02) -> Samples:
    return np.full((round(seconds * RATE), 1), value, np.int16)


def noise(seconds: float) -> Samples:
    return np.random.default_rng(7).integers(-9_000, 9_000, (round(seconds * RATE), 1), np.int16)


class Heard:
    """A sink that remembers what came when."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.frames: list[AudioFrame] = []
        self.last_at = 0.0

    def __call__(self, frame: AudioFrame) -> None:
        self.frames.append(frame)
        if frame.samples.any():
            self.last_at = self.clock.now()

    @property
    def sound(self) -> Samples:
        return np.concatenate([one.samples for one in self.frames])


class Stage:
    """A player on virtual time, and when it said that it was empty."""

    def __init__(self, sink: FrameSink | Speaker | None, clock: VirtualClock) -> None:
        self.clock = clock
        self.empty: list[tuple[float, float]] = []
        self.player = AgentPlayer(sink, RATE, on_empty=self.told, clock=clock)

    def told(self, tail: float) -> None:
        assert not self.player.is_playing
        self.empty.append((round(self.clock.now(), 3), round(tail, 3)))


@asynccontextmanager
async def playing(sink: FrameSink | Speaker | None, clock: VirtualClock) -> AsyncIterator[Stage]:
    stage = Stage(sink, clock)
    yield stage
    await stage.player.aclose()
    await clock.advance(0.1)


async def test_a_turn_that_came_at_once_is_heard_in_real_time_to_the_sample() -> None:
    clock = VirtualClock()
    heard = Heard(clock)
    async with playing(heard, clock) as stage:
        whole = noise(20.0)
        for start in range(0, len(whole), 480):
            stage.player.feed(whole[start : start + 480])
        assert stage.player.is_playing
        assert stage.player.waiting == pytest.approx(20.0)
        await clock.advance(5.0)
        assert len(heard.frames) == pytest.approx(500, abs=1)
        assert stage.empty == []
        await clock.advance(15.5)
        assert np.array_equal(heard.sound, whole)
        assert [tail for _, tail in stage.empty] == [0.01]
        assert [at for at, _ in stage.empty] == [pytest.approx(1020, abs=0.02)]
        assert (stage.player.is_playing, stage.player.waiting) == (False, 0.0)


async def test_a_file_has_what_was_said_and_no_gap(tmp_path: Path) -> None:
    clock = VirtualClock()
    with WavRecorder(tmp_path / "agent.wav") as recorder:
        async with playing(recorder, clock) as stage:
            said = [noise(0.1), noise(0.06)]
            for one in said:
                stage.player.feed(one)
                await clock.advance(3.0)
    audio_format, written = read_wav(tmp_path / "agent.wav")
    assert audio_format == AudioFormat(RATE)
    assert np.array_equal(written, np.concatenate(said))


async def test_sound_that_comes_as_it_is_spoken_is_passed_on_at_once() -> None:
    clock = VirtualClock()
    heard = Heard(clock)
    async with playing(heard, clock) as stage:
        for value in range(1, 51):
            before = len(heard.frames)
            stage.player.feed(chunk(value))
            await clock.advance(0.0)
            assert len(heard.frames) > before
            await clock.advance(0.02)
        assert np.array_equal(heard.sound[::480, 0], np.arange(1, 51))


@pytest.mark.parametrize("at", [0.5, 1.237])
async def test_a_flush_is_silent_within_20_ms_and_nothing_old_comes_after_it(at: float) -> None:
    clock = VirtualClock()
    heard = Heard(clock)
    async with playing(heard, clock) as stage:
        stage.player.feed(chunk(1_000, seconds=60.0))
        await clock.advance(at)
        flushed_at = clock.now()
        stage.player.flush()
        assert not stage.player.is_playing
        await clock.advance(1.0)
        assert heard.last_at <= flushed_at + 0.02
        assert stage.empty == []
        count = len(heard.frames)
        stage.player.feed(chunk(77, seconds=0.5))
        await clock.advance(1.0)
        assert set(np.concatenate([one.samples for one in heard.frames[count:]])[:, 0]) == {77}
        assert len(stage.empty) == 1


async def test_a_speaker_plays_a_long_turn_whole_and_tells_when_it_is_over() -> None:
    clock = VirtualClock()
    audio = FakeAudio(clock)
    speaker = Speaker(format=AudioFormat(RATE), backend=audio)
    async with playing(speaker, clock) as stage:
        await stage.player.open()
        whole = noise(30.0)
        stage.player.feed(whole)
        await clock.advance(29.0)
        assert stage.empty == []
        await clock.advance(1.2)
        played = audio.played(speaker.key)
        first = int(np.flatnonzero(played[:, 0])[0])
        assert np.array_equal(played[first : first + len(whole)], whole)
        assert [at for at, _ in stage.empty] == [pytest.approx(1030, abs=0.1)]
    await speaker.aclose()


async def test_a_speaker_is_silent_at_once_and_another_rate_is_converted_to_the_end() -> None:
    clock = VirtualClock()
    audio = FakeAudio(clock)
    speaker = Speaker(backend=audio)  # 48 kHz
    async with playing(speaker, clock) as stage:
        await stage.player.open()
        stage.player.feed(chunk(1_000, seconds=0.5))
        stage.player.finish()
        await clock.advance(1.0)
        played = audio.played(speaker.key)
        assert np.count_nonzero(np.abs(played - 1_000) < 20) == pytest.approx(24_000, abs=150)
        stage.player.feed(chunk(1_000, seconds=60.0))
        await clock.advance(1.0)
        before = len(audio.played(speaker.key))
        stage.player.flush()
        await clock.advance(1.0)
        assert not audio.played(speaker.key)[before + 480 * 2 :].any()
    await speaker.aclose()


async def test_what_a_conversion_holds_back_is_heard_though_nobody_said_that_it_is_over() -> None:
    clock = VirtualClock()
    audio = FakeAudio(clock)
    speaker = Speaker(backend=audio)
    async with playing(speaker, clock) as stage:
        await stage.player.open()
        for _ in range(25):
            stage.player.feed(chunk(1_000))
            await clock.advance(0.02)
        await clock.advance(0.5)
        played = audio.played(speaker.key)
        assert np.count_nonzero(np.abs(played - 1_000) < 20) > 23_500
        assert stage.empty
    await speaker.aclose()


async def test_a_speaker_that_takes_nothing_is_not_waited_for() -> None:
    clock = VirtualClock()
    audio = FakeAudio(clock)
    speaker = Speaker(format=AudioFormat(RATE), backend=audio)
    async with playing(speaker, clock) as stage:
        await stage.player.open()
        stage.player.feed(chunk(1_000, seconds=60.0))
        await clock.advance(2.0)
        device = audio.choose("first", AudioDirection.OUTPUT)
        audio.unplug(device, AudioDirection.OUTPUT)
        await clock.advance(DEAF - 1.0)
        assert stage.player.is_playing
        await clock.advance(2.5)
        assert not stage.player.is_playing
        assert len(stage.empty) == 1
        audio.plug_in(device)
        before = len(audio.played(speaker.key))
        stage.player.feed(chunk(77, seconds=0.5))
        await clock.advance(1.0)
        later = audio.played(speaker.key)[before:]
        assert np.count_nonzero(later == 77) == 12_000
        assert later.max() == 77
    await speaker.aclose()


async def test_it_lets_go_of_the_speaker_that_it_opened_and_of_no_other() -> None:
    clock = VirtualClock()
    speaker = Speaker(backend=FakeAudio(clock))
    async with playing(speaker, clock) as stage:
        for _ in range(2):
            await stage.player.open()
            await stage.player.open()
            await clock.advance(0.1)
            assert speaker.device.value is not None
            await stage.player.release()
            await clock.advance(0.1)
            assert speaker.device.value is None
        await speaker.open()
        await stage.player.open()
        await stage.player.release()
        await clock.advance(0.1)
        assert speaker.device.value is not None
    await speaker.aclose()
    stage = Stage(Speaker(backend=FakeAudio(clock)), clock)
    await stage.player.aclose()
    with pytest.raises(UTDStreamException):
        await Stage(speaker, clock).player.open()


async def test_its_voice_is_a_source_that_is_continuous_beside_the_sink_and_ends_with_it() -> None:
    clock = VirtualClock()
    heard, track = Heard(clock), Heard(clock)
    async with playing(heard, clock) as stage:
        voice = stage.player.voice
        assert (voice.format, pickle.loads(pickle.dumps(voice))) == (AudioFormat(RATE), voice)
        stream = await voice.open(track)
        await clock.advance(0.5)
        assert not track.sound.any()
        whole = noise(0.3)
        stage.player.feed(whole)
        await clock.advance(1.0)
        assert len(track.frames) == pytest.approx(151, abs=1)
        first = int(np.flatnonzero(track.sound[:, 0])[0])
        assert np.array_equal(track.sound[first : first + len(whole)], whole)
        assert np.array_equal(heard.sound, whole)
        assert len(stage.empty) == 1
        other = await voice.open(Heard(clock))
        await stream.aclose()
        stage.player.feed(whole)
        await clock.advance(1.0)
        assert len(stage.empty) == 2
        ended = asyncio.ensure_future(other.wait_ended())
    assert ended.done()
    await ended


async def test_without_a_sink_time_goes_on_and_the_pace_is_the_tracks() -> None:
    clock = VirtualClock()
    async with playing(None, clock) as stage:
        stage.player.feed(chunk(1, seconds=2.0))
        await clock.advance(1.9)
        assert stage.empty == []
        await clock.advance(0.2)
        assert len(stage.empty) == 1


async def test_a_rate_that_changes_while_sound_waits_loses_nothing() -> None:
    clock = VirtualClock()
    heard = Heard(clock)
    async with playing(heard, clock) as stage:
        stage.player.feed(chunk(1_000, seconds=1.0))
        stage.player.begin(16_000)
        stage.player.feed(np.full((16_000, 1), 500, np.int16))
        await clock.advance(3.0)
        assert {one.sample_rate for one in heard.frames} == {RATE}
        assert np.count_nonzero(heard.sound == 1_000) == RATE
        assert np.count_nonzero(np.abs(heard.sound - 500) < 20) == pytest.approx(RATE, abs=150)


async def test_a_sink_that_raises_is_counted_and_the_next_frame_comes_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = VirtualClock()
    calls: list[AudioFrame] = []

    def broken(frame: AudioFrame) -> None:
        calls.append(frame)
        raise ValueError("an app's own")

    async with playing(broken, clock) as stage:
        stage.player.feed(chunk(1, seconds=0.1))
        await clock.advance(0.2)
        assert len(calls) == 10
        assert len(stage.empty) == 1
    assert "an audio sink raised" in caplog.text


async def test_a_flood_is_bounded_and_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speaking, "LONGEST", 2.0)
    clock = VirtualClock()
    heard = Heard(clock)
    async with playing(heard, clock) as stage:
        for _ in range(500):
            stage.player.feed(chunk(1))
        assert stage.player.waiting == pytest.approx(2.0)
        assert len(caplog.records) == 1
        await clock.advance(1.0)
        stage.player.feed(chunk(2))
        await clock.advance(2.0)
        assert heard.sound.max() == 2
        assert len(heard.sound) == round(2.02 * RATE)


async def test_what_is_no_sink_is_refused() -> None:
    with pytest.raises(UTDStreamException) as caught:
        AgentPlayer("loud", RATE, on_empty=lambda _: None)  # type: ignore[arg-type] # what is tested
    assert caught.value.code is UTDErrorCode.VALIDATION
    with pytest.raises(UTDStreamException) as caught:
        AgentPlayer(Speaker(backend="platform"), RATE, on_empty=lambda _: None)
    assert caught.value.code is UTDErrorCode.FEATURE_DISABLED
