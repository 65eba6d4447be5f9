"""The agent hears 20 ms after 20 ms, whatever the source does, and at most a second late."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from reactivex.subject import Subject

from tests.audio.virtual_clock import VirtualClock
from utd_rx.agent.hearing import MAX_CHUNKS, MISSING, AgentHearing
from utd_rx.audio import ArraySource, ToneSource, read_wav, speech_path
from utd_rx.audio.microphone import Microphone
from utd_rx.audio.observed import ObservableSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInput, FrameSink, Samples
from utd_rx.models.devices import AudioDirection
from utd_rx.testing.audio import FakeAudio

RATE = 24_000


class Stage:
    """An ear on virtual time, whose chunks are taken as soon as it says that there are some."""

    def __init__(self, source: AudioInput, clock: VirtualClock, sample_rate: int = RATE) -> None:
        self.clock = clock
        self.is_sending = True
        self.chunks: list[bytes] = []
        self.came_at: list[float] = []
        self.speaking: list[bool] = []
        self.threads: set[int] = set()
        self.ear = AgentHearing(
            source,
            sample_rate,
            wake=self.send,
            on_speaking=self.speaking.append,
            clock=clock,
        )

    def send(self) -> None:
        self.threads.add(threading.get_ident())
        while self.is_sending and (chunk := self.ear.take()) is not None:
            self.chunks.append(chunk)
            self.came_at.append(self.clock.now())

    @property
    def sound(self) -> Samples:
        return np.frombuffer(b"".join(self.chunks), "<i2")


@asynccontextmanager
async def hearing(
    source: AudioInput, clock: VirtualClock, sample_rate: int = RATE
) -> AsyncIterator[Stage]:
    stage = Stage(source, clock, sample_rate)
    await stage.ear.open()
    yield stage
    await stage.ear.aclose()
    await clock.advance(0.01)


def noise(seconds: float, sample_rate: int = RATE) -> Samples:
    return np.random.default_rng(3).integers(-9_000, 9_000, round(seconds * sample_rate), np.int16)


async def test_what_is_said_is_what_is_sent_to_the_sample_and_then_silence_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, said = VirtualClock(), noise(1.0)
    async with hearing(ArraySource(said, RATE, clock=clock), clock) as stage:
        await clock.advance(3.0)
        assert {len(chunk) for chunk in stage.chunks} == {960}
        assert np.array_equal(stage.sound[: len(said)], said)
        assert not stage.sound[len(said) :].any()
        assert len(stage.chunks) == pytest.approx(150, abs=6)
        assert stage.ear.dropped == 0
        waits = np.diff(stage.came_at)
        assert waits.max() <= MISSING + 0.02
        assert caplog.records == []


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 24_000, 48_000])
async def test_any_format_of_the_source_becomes_the_wires(sample_rate: int) -> None:
    clock = VirtualClock()
    tone = ToneSource(440.0, format=AudioFormat(44_100, 2), duration=1.0, clock=clock)
    async with hearing(tone, clock, sample_rate) as stage:
        await clock.advance(1.5)
        heard = stage.sound[: sample_rate - sample_rate // 25].astype(float)
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        assert np.argmax(spectrum) * sample_rate / len(heard) == pytest.approx(440, abs=2)
        # All of it, with what the conversion held back at its end.
        assert np.count_nonzero(stage.sound) == pytest.approx(sample_rate, rel=0.01)


async def test_silence_is_sent_in_its_place_while_it_is_silenced_and_speech_is_known() -> None:
    clock = VirtualClock()
    speech = ArraySource(read_wav(speech_path())[1][:, 0], 48_000, clock=clock)
    async with hearing(speech, clock) as stage:
        stage.ear.silenced = True
        await clock.advance(2.0)
        assert not stage.sound.any()
        assert len(stage.chunks) == pytest.approx(100, abs=1)
        assert True in stage.speaking
        stage.ear.silenced = False
        before = len(stage.sound)
        await clock.advance(0.5)
        assert stage.sound[before:].any()
        await clock.advance(3.0)
        assert stage.speaking[-1] is False
        assert stage.speaking == [index % 2 == 0 for index in range(len(stage.speaking))]


async def test_nobody_speaks_any_more_once_it_is_closed() -> None:
    clock = VirtualClock()
    async with hearing(ArraySource(noise(5.0), RATE, clock=clock), clock) as stage:
        await clock.advance(0.3)
        assert stage.speaking == [True]
    assert stage.speaking == [True, False]
    assert (stage.ear.take(), stage.ear.depth) == (None, 0.0)
    count = len(stage.chunks)
    await clock.advance(1.0)
    assert len(stage.chunks) == count


async def test_who_sends_late_finds_the_newest_second_and_the_rest_is_counted() -> None:
    clock, said = VirtualClock(), noise(3.0)
    async with hearing(ArraySource(said, RATE, clock=clock), clock) as stage:
        stage.is_sending = False
        await clock.advance(2.0)
        assert (stage.ear.depth, stage.ear.dropped) == (1.0, 50)
        stage.is_sending = True
        await clock.advance(0.05)
        assert stage.chunks == []  # it is told that there is something, not that there is more
        stage.send()
        assert len(stage.chunks) == MAX_CHUNKS
        await clock.advance(0.5)
        first = stage.ear.dropped * 480
        assert np.array_equal(stage.sound, said[first : first + len(stage.sound)])


async def test_a_lost_microphone_is_silent_until_it_is_back() -> None:
    clock = VirtualClock()
    audio = FakeAudio(clock)
    microphone = Microphone(backend=audio)
    audio.say(np.full((48_000 * 9, 1), 1_000, np.int16))
    async with hearing(microphone, clock) as stage:
        await clock.advance(1.0)
        device = audio.choose("first", AudioDirection.INPUT)
        audio.unplug(device, AudioDirection.INPUT)
        count = len(stage.chunks)
        await clock.advance(5.0)
        assert len(stage.chunks) - count == pytest.approx(245, abs=3)
        assert not stage.sound[(count + 1) * 480 :].any()
        audio.plug_in(device)
        await clock.advance(1.0)
        assert set(stage.sound[-4_800:]) <= set(range(990, 1_011))
        assert len(stage.chunks) == pytest.approx(350, abs=8)
    await microphone.aclose()


async def test_a_stall_of_the_loop_is_no_flood_of_silence() -> None:
    clock = VirtualClock()
    async with hearing(ObservableSource(Subject[AudioFrame](), clock=clock), clock) as stage:
        await clock.advance(0.5)
        count = len(stage.chunks)
        await clock.stall(60.0)
        assert len(stage.chunks) - count <= 12


class Broken:
    """A source that ends with an error."""

    format = AudioFormat(RATE)

    async def open(self, sink: FrameSink) -> Broken:
        sink(AudioFrame(np.full((240, 1), 5, np.int16), RATE))
        return self

    async def wait_ended(self) -> None:
        raise LookupError("an app's own")

    async def aclose(self) -> None:
        pass


async def test_a_source_that_fails_is_told_once_and_silence_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = VirtualClock()
    async with hearing(Broken(), clock) as stage:
        await clock.advance(1.0)
        assert len(stage.chunks) == pytest.approx(45, abs=2)
    [record] = caplog.records
    assert "has ended" in record.message
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


async def test_it_is_opened_once_at_a_time_and_again_after_it_was_closed() -> None:
    clock = VirtualClock()
    stage = Stage(ArraySource(noise(0.1), RATE, clock=clock), clock)
    for _ in range(2):
        stage.chunks.clear()
        await stage.ear.open()
        await stage.ear.open()
        await clock.advance(0.1)
        assert np.array_equal(stage.sound, noise(0.1)[: len(stage.sound)])
        assert len(stage.chunks) == 5
        await stage.ear.aclose()
        await stage.ear.aclose()
        await clock.advance(0.1)


async def test_another_session_begins_with_what_is_said_then_at_its_rate() -> None:
    clock = VirtualClock()
    tone = ToneSource(440.0, format=AudioFormat(48_000), clock=clock)
    async with hearing(tone, clock) as stage:
        stage.is_sending = False
        await clock.advance(0.5)
        stage.ear.expect(16_000)
        assert stage.ear.depth == 0.0
        stage.is_sending = True
        await clock.advance(0.5)
        assert {len(chunk) for chunk in stage.chunks} == {640}
        assert len(stage.chunks) == pytest.approx(25, abs=2)


class Given(Broken):
    """A source of what a test says, which has no end."""

    def __init__(self) -> None:
        self.said: Subject[Any] = Subject()

    async def open(self, sink: FrameSink) -> Given:
        self.said.subscribe(sink)
        return self

    async def wait_ended(self) -> None:
        await asyncio.Event().wait()


async def test_sources_of_other_threads_are_sent_on_the_loop() -> None:
    clock, source = VirtualClock(), Given()

    def speak() -> None:
        for value in range(40):
            source.said.on_next(AudioFrame(np.full((240, 1), value, np.int16), RATE))

    async with hearing(source, clock) as stage:
        await asyncio.to_thread(speak)
        await clock.advance(0.01)
        assert stage.threads == {threading.get_ident()}
        assert np.array_equal(stage.sound[::240], np.arange(40))


async def test_a_source_that_cannot_be_opened_raises_and_may_be_tried_again() -> None:
    clock = VirtualClock()
    audio = FakeAudio(clock)
    microphone = Microphone("nothing like it", backend=audio)
    stage = Stage(microphone, clock)
    for _ in range(2):
        with pytest.raises(UTDStreamException) as caught:
            await stage.ear.open()
        assert caught.value.code is UTDErrorCode.NOT_FOUND
    await microphone.use("second")
    await stage.ear.open()
    await stage.ear.aclose()
    await microphone.aclose()


async def test_what_is_no_sound_is_logged_and_the_next_frame_is_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, source = VirtualClock(), Given()
    async with hearing(source, clock) as stage:
        source.said.on_next("no frame")
        for _ in range(2):
            source.said.on_next(AudioFrame(np.full((240, 1), 5, np.int16), RATE))
        await clock.advance(0.02)
        assert len(stage.chunks) == 1
    assert "an audio sink raised" in caplog.text
