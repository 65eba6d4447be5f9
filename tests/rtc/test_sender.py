"""Answers may come before the request has returned, from any thread, and to others' frames too."""

from __future__ import annotations

import ctypes

import pytest
from livekit import rtc
from livekit.rtc._proto import ffi_pb2

from utd_rx.models.audio import AudioFormat
from utd_rx.rtc import native_frames, streams
from utd_rx.rtc.feeder import BURST, FrameSender


class Native:
    """LiveKit's side: takes frames and answers when told to, or at once."""

    def __init__(self, *, is_prompt: bool) -> None:
        self.captured: list[bytes] = []
        self.asked: list[int] = []
        self.is_prompt = is_prompt

    def send(self, request: bytes) -> None:
        frame = ffi_pb2.FfiRequest.FromString(request).capture_audio_frame
        self.captured.append(ctypes.string_at(frame.buffer.data_ptr, 1))
        self.asked.append(frame.request_async_id)
        if self.is_prompt:
            self.answer(frame.request_async_id)

    @staticmethod
    def answer(number: int) -> None:
        event = ffi_pb2.FfiEvent()
        event.capture_audio_frame.async_id = number
        streams.exchange().hear("capture_audio_frame", event.capture_audio_frame)


@pytest.fixture
async def source() -> rtc.AudioSource:
    return rtc.AudioSource(48_000, 1, queue_size_ms=0)


@pytest.mark.parametrize("is_prompt", [True, False])
async def test_one_at_a_time_in_order(
    source: rtc.AudioSource, monkeypatch: pytest.MonkeyPatch, *, is_prompt: bool
) -> None:
    native = Native(is_prompt=is_prompt)
    monkeypatch.setattr(native_frames.native(), "send", native.send)
    sent = [bytes([number]) for number in range(3)]
    sending = FrameSender(source, AudioFormat())
    sending.start()
    assert [sending.send(one, BURST) for one in sent] == [0, 0, 0]
    for count in range(1, 4) if not is_prompt else ():
        native.answer(77)  # somebody else's frame
        assert native.captured == sent[:count]
        native.answer(native.asked[-1])
    assert native.captured == sent
    assert sending.is_idle
    sending.close()
    await source.aclose()


async def test_a_stalled_livekit_costs_the_newest_nothing(
    source: rtc.AudioSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = Native(is_prompt=False)
    monkeypatch.setattr(native_frames.native(), "send", native.send)
    sending = FrameSender(source, AudioFormat())
    sending.start()
    count = BURST + 3  # one on its way, two too many
    assert sum(sending.send(bytes([number]), BURST) for number in range(count)) == 2
    for _ in range(1, BURST + 2):
        native.answer(native.asked[-1])
    assert native.captured == [bytes([number]) for number in (0, *range(3, count))]
    sending.close()
    sending.close()
    assert sending.send(b"late", BURST) == 1
    await source.aclose()


async def test_a_frame_that_livekit_refuses_blocks_no_later_one(
    source: rtc.AudioSource, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    native = Native(is_prompt=True)

    def refuse(*_: object) -> bool:
        raise RuntimeError("a panic")

    monkeypatch.setattr(native_frames.native(), "send", refuse)
    sending = FrameSender(source, AudioFormat())
    sending.start()
    assert sending.send(b"L", BURST) == 0
    assert sending.is_idle
    monkeypatch.setattr(native_frames.native(), "send", native.send)
    assert sending.send(b"H", BURST) == 0
    assert native.captured == [b"H"]
    assert "LiveKit took no frame (1 times so far)" in caplog.text
    sending.close()
    await source.aclose()


async def test_a_source_that_is_gone_takes_nothing_and_blocks_nothing(
    source: rtc.AudioSource,
) -> None:
    await source.aclose()
    sending = FrameSender(source, AudioFormat())
    sending.start()
    assert sending.send(bytes(960), BURST) == 0
    assert sending.is_idle
    sending.close()
