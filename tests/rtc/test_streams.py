"""The first look at LiveKit's native events of frames; they go to whose they are."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient, FfiHandle
from livekit.rtc._proto import ffi_pb2

from tests.rtc.bench import tone_frame
from utd_rx.models.audio import AudioFormat, Samples
from utd_rx.models.video import Pixels
from utd_rx.rtc import native_frames
from utd_rx.rtc.streams import FrameExchange

FORMAT = AudioFormat()
SOUND = tone_frame(FORMAT).samples
HANDLE = 2**40
"""Of a stream that LiveKit does not know."""


def frame(handle: int) -> ffi_pb2.FfiEvent:
    event = ffi_pb2.FfiEvent()
    event.audio_stream_event.stream_handle = handle
    info = event.audio_stream_event.frame_received.frame.info
    info.data_ptr = SOUND.ctypes.data
    info.num_channels, info.samples_per_channel = 1, len(SOUND)
    return event


def picture(handle: int, pixels: Pixels, rotation: int = 0) -> ffi_pb2.FfiEvent:
    event = ffi_pb2.FfiEvent()
    event.video_stream_event.stream_handle = handle
    received = event.video_stream_event.frame_received
    received.buffer.handle.id = 7
    received.rotation = rotation  # type: ignore[assignment] # an enum to mypy, a number on the wire
    received.buffer.info.height, received.buffer.info.width = pixels.shape[:2]
    received.buffer.info.data_ptr = pixels.ctypes.data
    return event


def end(handle: int) -> ffi_pb2.FfiEvent:
    event = ffi_pb2.FfiEvent()
    event.audio_stream_event.stream_handle = handle
    event.audio_stream_event.eos.SetInParent()
    return event


def picture_end(handle: int) -> ffi_pb2.FfiEvent:
    event = ffi_pb2.FfiEvent()
    event.video_stream_event.stream_handle = handle
    event.video_stream_event.eos.SetInParent()
    return event


def answer_to(number: int) -> ffi_pb2.FfiEvent:
    event = ffi_pb2.FfiEvent()
    event.capture_audio_frame.async_id = number
    return event


class Handle:
    """Of something native."""

    handle = 1


class Track:
    """A remote track."""

    _ffi_handle = Handle


TRACK = cast("rtc.Track", Track)


class Library(native_frames.Native):
    """LiveKit's native side, which is asked nothing and given nothing back."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def send(self, request: bytes) -> None:
        self.asked.append(request)

    def drop(self, handle: int) -> None:
        pass


class Bench:
    """An exchange whose native side is the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.library = Library()
        self.exchange = FrameExchange(self.library)
        self.heard: list[Samples] = []
        self.take: Callable[[Samples], None] = self.heard.append
        self.early: list[ffi_pb2.FfiEvent] = []
        monkeypatch.setattr(FfiClient.instance, "request", self._request)
        monkeypatch.setattr(FfiHandle, "dispose", FfiHandle.mark_consumed)

    def _request(self, request: ffi_pb2.FfiRequest) -> ffi_pb2.FfiResponse:
        for event in self.early:  # on another thread, before the answer is here
            self.hear(event)
        self.asked = request
        response = ffi_pb2.FfiResponse()
        getattr(response, request.WhichOneof("message") or "").stream.handle.id = HANDLE
        return response

    def hear(self, event: ffi_pb2.FfiEvent) -> bool:
        kind = event.WhichOneof("message")
        assert kind is not None
        return self.exchange.hear(kind, getattr(event, kind))

    def open(self) -> int:
        return self.exchange.open(TRACK, FORMAT, self.take, lambda: None)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


async def test_what_is_not_for_here_is_left_to_livekit(bench: Bench) -> None:
    handle = bench.open()
    assert bench.hear(frame(handle))
    assert not bench.hear(frame(HANDLE + 1))
    assert not bench.hear(answer_to(77))
    assert bench.hear(end(handle))
    await bench.exchange.close(handle)
    await bench.exchange.close(handle)
    assert bench.exchange.open_streams == 0
    assert not bench.hear(frame(handle))


async def test_a_frame_that_is_quicker_than_its_handle_is_not_lost(bench: Bench) -> None:
    bench.early = [frame(HANDLE), *(frame(HANDLE + 1) for _ in range(30)), frame(HANDLE)]
    handle = bench.open()
    assert len(bench.heard) == 2
    assert (bench.heard[0] == SOUND).all()
    assert not bench.heard[0].flags.writeable
    bench.hear(end(handle))
    await bench.exchange.close(handle)


async def test_a_picture_is_copied_and_given_back_when_nobody_holds_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[int] = []
    monkeypatch.setattr(FfiHandle, "dispose", lambda handle: given_back.append(handle.handle))
    pixels = np.arange(16 * 32 * 3, dtype=np.uint8).reshape(16, 32, 3)
    seen: list[native_frames.NativePicture] = []
    handle = bench.exchange.open_video(TRACK, seen.append, lambda: None)
    asked = bench.asked.new_video_stream
    assert (asked.format, asked.queue_size_frames) == (rtc.VideoBufferType.RGB24, 1)
    bench.hear(picture(handle, pixels, 3))
    bench.hear(picture(HANDLE + 1, pixels))
    [shown] = seen
    copy = shown.pixels()
    assert shown.rotation == 3
    assert (copy == pixels).all()
    assert not copy.flags.writeable
    pixels[:] = 0
    assert copy.any()
    assert 7 not in given_back
    seen.clear()
    del shown
    assert 7 in given_back
    bench.hear(picture_end(handle))
    await bench.exchange.close(handle)
    assert bench.exchange.open_streams == 0


async def test_others_frames_are_bounded_and_go_nowhere(bench: Bench) -> None:
    bench.early = [frame(HANDLE), *(frame(HANDLE + 1) for _ in range(1_000))]
    handle = bench.open()
    assert bench.heard == []
    bench.hear(end(handle))
    await bench.exchange.close(handle)


async def test_a_sink_that_fails_is_logged_now_and_then(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(samples: Samples) -> None:
        raise ValueError(np.shape(samples))

    bench.take = fail
    bench.early = [frame(HANDLE)]
    handle = bench.open()
    for _ in range(8):
        bench.hear(frame(handle))
    assert len(caplog.messages) == 4  # the 1st, 2nd, 4th and 8th
    bench.hear(end(handle))
    await bench.exchange.close(handle)


def test_what_is_captured_is_what_was_given(bench: Bench) -> None:
    answered: list[str] = []
    samples = SOUND.tobytes()
    asking = native_frames.SoundRequest(5, FORMAT)
    bench.exchange.capture(asking, samples, lambda: answered.append("!"))
    told = ffi_pb2.FfiRequest.FromString(bench.library.asked[0]).capture_audio_frame
    assert ctypes.string_at(told.buffer.data_ptr, 960) == samples
    assert (told.source_handle, told.buffer.sample_rate) == (5, 48_000)
    assert (told.buffer.num_channels, told.buffer.samples_per_channel) == (1, 480)
    assert bench.hear(answer_to(told.request_async_id))
    assert not bench.hear(answer_to(told.request_async_id))
    assert answered == ["!"]
