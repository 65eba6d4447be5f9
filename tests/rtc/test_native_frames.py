"""Frames come past `livekit.rtc`, and whatever is its own reaches it as before."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from ctypes import CFUNCTYPE, POINTER, c_size_t, c_uint8, string_at
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._ffi_client import ffi_cb_fnc
from livekit.rtc._proto import ffi_pb2

from tests.rtc.bench import Frames, tone_frame
from utd_rx.errors import UTDStreamException
from utd_rx.models.audio import AudioFormat
from utd_rx.rtc import ffi, native_frames, streams
from utd_rx.rtc.feeder import Feeder
from utd_rx.rtc.receiver import TrackSound

FORMAT = AudioFormat()
FRAME = tone_frame(FORMAT)


def unexpected(error: UTDStreamException) -> None:
    raise error


@pytest.fixture
def passed_on() -> Iterator[list[str]]:
    """The kinds of events that LiveKit's own subscribers see."""
    streams.exchange()
    kinds: list[str] = []

    def hear(event: ffi_pb2.FfiEvent) -> None:
        kinds.append(event.WhichOneof("message") or "")

    unwatch: Callable[[], None] = ffi.watch(hear)
    yield kinds
    unwatch()


async def test_frames_of_here_and_their_answers_wake_nobody_else(passed_on: list[str]) -> None:
    feeder = Feeder(FORMAT, unexpected)
    frames = Frames()
    reception = TrackSound("loop", frames)
    reception.attach(rtc.LocalAudioTrack.create_audio_track("loop", feeder.source))
    feeder.start()
    feeder.put(FRAME)
    await frames.wait(lambda: len(frames.frames) == 1)
    await feeder.drain()
    assert {"capture_audio_frame", "audio_stream_event"}.isdisjoint(passed_on)
    await reception.aclose()
    await feeder.aclose()


async def test_livekits_own_streams_and_sources_work_beside(passed_on: list[str]) -> None:
    source = rtc.AudioSource(FORMAT.sample_rate, FORMAT.channels, queue_size_ms=0)
    track = rtc.LocalAudioTrack.create_audio_track("bare", source)
    async with asyncio.timeout(10):
        stream = rtc.AudioStream(track, sample_rate=FORMAT.sample_rate, num_channels=1)
        sound = rtc.AudioFrame(FRAME.samples.tobytes(), FORMAT.sample_rate, 1, len(FRAME.samples))
        await source.capture_frame(sound)
        heard = await anext(aiter(stream))
        assert bytes(heard.frame.data) == FRAME.samples.tobytes()
        await stream.aclose()
    assert {"capture_audio_frame", "audio_stream_event"} <= set(passed_on)
    await source.aclose()


@pytest.mark.parametrize("frames", [1, 3])
def test_a_second_waits_for_a_busy_interpreter_however_much_it_takes_at_once(frames: int) -> None:
    track: Any = SimpleNamespace(_ffi_handle=SimpleNamespace(handle=1))
    asked = native_frames.sound_request(track, FORMAT, frames).new_audio_stream
    assert (asked.frame_size_ms, asked.queue_size_frames) == (10 * frames, 100)


LINES = [
    (ffi_pb2.LogLevel.LOG_TRACE, logging.DEBUG, False),
    (ffi_pb2.LogLevel.LOG_DEBUG, logging.WARNING, False),
    (ffi_pb2.LogLevel.LOG_DEBUG, logging.DEBUG, True),
    (ffi_pb2.LogLevel.LOG_WARN, logging.WARNING, True),
]


@pytest.mark.parametrize(("level", "shown", "is_written"), LINES)
def test_lines_that_livekit_throws_away_are_not_shown_to_it(
    level: int,
    shown: int,
    is_written: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    native_frames.native()  # LiveKit begins with its own callback, whichever test comes first
    taken: list[bytes] = []
    addresses: list[int] = []
    kind = CFUNCTYPE(None, POINTER(c_uint8), c_size_t)
    usual = kind(lambda data, size: taken.append(string_at(data, size)))

    def callback_at(address: int) -> object:
        addresses.append(address)
        return ffi_cb_fnc(address)

    monkeypatch.setattr(_ffi_client, "ffi_event_callback", usual)
    monkeypatch.setattr(_ffi_client, "ffi_cb_fnc", callback_at)
    event = ffi_pb2.FfiEvent()
    event.logs.records.add(level=level, target="x", message="a line")
    words = event.SerializeToString()
    try:
        native_frames.Native().take_over(lambda kind, event: True)
        with caplog.at_level(shown, "livekit"):
            kind(addresses[-1])((c_uint8 * len(words)).from_buffer_copy(words), len(words))
    finally:
        native_frames.native().take_over(streams.exchange().hear)
    assert taken.count(words) == is_written


async def test_at_the_end_livekit_has_its_callback_back(passed_on: list[str]) -> None:
    feeder = Feeder(FORMAT, unexpected)
    try:
        native_frames.at_rest()
        feeder.start()
        feeder.put(FRAME)
        while "capture_audio_frame" not in passed_on:  # noqa: ASYNC110 - on a native thread
            await asyncio.sleep(0)
        assert not feeder.dropped
    finally:
        native_frames.native().take_over(streams.exchange().hear)
    await feeder.aclose()


def test_a_forked_child_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    native = native_frames.native()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with pytest.raises(RuntimeError, match="fork"):
        native.send(b"")
