"""Nothing reaches LiveKit's processing that would abort the process; each kind does its work."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from livekit.rtc import AudioProcessingModule

from tests.models.frames import unchecked
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples
from utd_rx.models.voice_processing import VoiceProcessing, VoiceProcessor
from utd_rx.rtc.processing import MAX_DELAY, ApmProcessor, make_processor

ALL = VoiceProcessing(
    echo_cancellation=True, noise_suppression=True, gain_control=True, high_pass=True
)
RATE = 48_000


@pytest.fixture
def processor() -> Iterator[VoiceProcessor]:
    made = make_processor(ALL)
    yield made
    # Whatever it was given, it still works.
    frame = AudioFrame(np.zeros((480, 1), np.int16), RATE, 7.0)
    assert made.process(frame).at == 7.0


def samples(*shape: int, dtype: type = np.int16) -> Samples:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("wrong", "rate"),
    [
        (samples(479, 1), RATE),
        (samples(481, 1), RATE),
        (samples(960, 1), RATE),  # 20 ms, which the native side would take
        (samples(720, 1), RATE),
        (samples(0, 1), RATE),
        (samples(480, 1), 44_100),
        (samples(480, 1), 96_000),
        (samples(480, 0), RATE),
        (samples(480, 3), RATE),
        (samples(480), RATE),
        (samples(480, 1, 1), RATE),
        (samples(480, 1, dtype=np.float32), RATE),
        (samples(480, 1, dtype=np.int32), RATE),
        (samples(480, 1, dtype=np.uint8), RATE),
        (samples(480, 1).tolist(), RATE),
        (samples(480, 1).tobytes(), RATE),
        (samples(480, 1), 48_000.0),
        (samples(480, 1), "48000"),
        (samples(480, 1), None),
        (samples(480, 1), 0),
        (samples(480, 1), -48_000),
        (samples(110, 1), 11_025),
        (samples(40, 1), 4_000),
        (samples(3_840, 1), 384_000),
    ],
)
@pytest.mark.parametrize("way", ["process", "played"])
def test_a_wrong_frame_is_a_typed_error(
    processor: VoiceProcessor, way: str, wrong: Samples, rate: int
) -> None:
    with pytest.raises(UTDStreamException, match="exactly 10 ms") as caught:
        getattr(processor, way)(unchecked(wrong, rate))
    assert caught.value.code is UTDErrorCode.VALIDATION


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    "rate", [8_000, 11_000, 16_000, 22_100, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000]
)
def test_every_format_is_taken_and_kept(
    processor: VoiceProcessor, rate: int, channels: int
) -> None:
    audio_format = AudioFormat(rate, channels)
    given = np.zeros((audio_format.samples_per_frame, 2), np.int16)[:, :channels]  # not contiguous
    processor.played(AudioFrame(given, rate))
    done = processor.process(AudioFrame(given, rate, 3.5))
    assert (done.format, done.at) == (audio_format, 3.5)
    assert done.samples.dtype == np.int16
    assert done.samples.shape == given.shape
    assert not done.samples.flags.writeable


@pytest.mark.parametrize(
    ("seconds", "told"), [(-1.0, 0), (0.0, 0), (0.1, 100), (MAX_DELAY, 500), (10.0, 500)]
)
def test_every_delay_is_brought_into_range(
    processor: VoiceProcessor, seconds: float, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[int] = []
    set_delay = AudioProcessingModule.set_stream_delay_ms

    def watched(apm: AudioProcessingModule, delay_ms: int) -> None:
        delays.append(delay_ms)
        set_delay(apm, delay_ms)

    monkeypatch.setattr(AudioProcessingModule, "set_stream_delay_ms", watched)
    processor.set_delay(seconds)
    assert delays == [told]


def test_what_livekit_refuses_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    processor = ApmProcessor(ALL)

    def refuse(*_: object) -> None:
        raise RuntimeError("an RtcError occurred")

    for name in ("process_stream", "process_reverse_stream"):
        monkeypatch.setattr(AudioProcessingModule, name, refuse)
    frame = AudioFrame(samples(480, 1), RATE)
    for way in (processor.process, processor.played):
        with pytest.raises(UTDStreamException, match="RtcError"):
            way(frame)


def test_a_forked_child_that_cannot_process_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("cannot be used across fork")

    monkeypatch.setattr(AudioProcessingModule, "__init__", refuse)
    with pytest.raises(UTDStreamException, match="across fork") as raised:
        ApmProcessor(ALL)
    assert raised.value.code is UTDErrorCode.FEATURE_DISABLED
