"""Voice processing by LiveKit's `AudioProcessingModule`: the port `VoiceProcessor`, served.

Its native side aborts the process on anything but whole frames, so `to_native` checks each
(docs/livekit.md, "Native aborts").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
from attrs import evolve

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid, words_of
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples, is_pcm
from utd_rx.models.secrets import foreign_text
from utd_rx.models.voice_processing import VoiceProcessing, VoiceProcessor
from utd_rx.rtc import native

if TYPE_CHECKING:
    from livekit import rtc

MAX_DELAY: Final = 0.5
"""Seconds; the module refuses more and anything negative (measured, livekit 1.2.0)."""


def make_processor(processing: VoiceProcessing) -> VoiceProcessor:
    """Return the processing of one microphone; blocks for 0.2 s where LiveKit is not loaded yet."""
    return ApmProcessor(processing)


class ApmProcessor:
    """A `VoiceProcessor`; a native lock lets both its sides be used at once."""

    def __init__(self, processing: VoiceProcessing) -> None:
        make = native.sdk().AudioProcessingModule
        try:
            self._apm: rtc.AudioProcessingModule = make(
                echo_cancellation=processing.echo_cancellation,
                noise_suppression=processing.noise_suppression,
                high_pass_filter=processing.high_pass,
                auto_gain_control=processing.gain_control,
            )
        except RuntimeError as error:  # in a forked child, for one
            told = foreign_text(str(error))
        else:
            return
        message = f"LiveKit processes no voice here: {told}"
        raise UTDStreamException(message, code=UTDErrorCode.FEATURE_DISABLED)

    def process(self, frame: AudioFrame) -> AudioFrame:
        samples = self._ask(self._apm.process_stream, frame).reshape(frame.samples.shape)
        samples.flags.writeable = False
        return evolve(frame, samples=samples)

    def played(self, frame: AudioFrame) -> None:
        self._ask(self._apm.process_reverse_stream, frame)

    def set_delay(self, seconds: float) -> None:
        self._apm.set_stream_delay_ms(round(1000 * min(max(seconds, 0.0), MAX_DELAY)))

    @staticmethod
    def _ask(what: Callable[[rtc.AudioFrame], None], frame: AudioFrame) -> Samples:
        """Return what LiveKit makes of a frame, in place."""
        sound = to_native(frame)
        try:
            what(sound)
        except RuntimeError as error:
            told = foreign_text(str(error))
        else:
            return np.frombuffer(sound.data, np.int16)
        raise UTDStreamException(f"LiveKit refused to process a frame: {told}")


def to_native(frame: AudioFrame) -> rtc.AudioFrame:
    """Return a copy of a frame; `VALIDATION`, unless it is 10 ms in an `AudioFormat`."""
    if fault := _fault(frame):
        raise invalid(f"voice processing takes frames of exactly 10 ms: {fault}")
    samples, rate = frame.samples, frame.sample_rate
    return native.sdk().AudioFrame(  # type: ignore[no-any-return]  # `sdk` is untyped
        bytearray(samples.tobytes()), rate, samples.shape[1], len(samples)
    )


def _fault(frame: AudioFrame) -> str:
    samples, rate = frame.samples, frame.sample_rate
    if not is_pcm(samples) or type(rate) is not int:
        return f"it is no int16 of shape (samples, channels), or its rate is {rate!r}"
    try:
        # WebRTC takes every rate that an `AudioFormat` has, 8,000 to 192,000 Hz (measured).
        wanted = AudioFormat(rate, samples.shape[1]).samples_per_frame
    except ValueError as error:
        return words_of(error)
    if len(samples) != wanted:
        return f"it has {len(samples)} samples, not {wanted}, at {rate} Hz"
    return ""
