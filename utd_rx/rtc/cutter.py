"""What an audio input delivers, made into what LiveKit takes: 10 ms of one format
(docs/livekit.md, "Native aborts")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from utd_rx.errors import UTDStreamException, invalid
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples, is_pcm
from utd_rx.models.secrets import foreign_text
from utd_rx.rtc import native

if TYPE_CHECKING:
    from livekit import rtc

RATES: Final = range(8_000, 192_001)
"""In Hz; of a rate that is none, such as 2**70, the native resampler ends the process."""


class Cutter:
    """Cuts frames of any length, and converts those of another rate; one thread at a time."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._format = audio_format
        self._shape = audio_format.samples_per_frame, audio_format.channels
        self._rest = np.zeros((0, audio_format.channels), np.int16)
        self._rate = audio_format.sample_rate
        self._resampler: rtc.AudioResampler | None = None

    def cut(self, frame: AudioFrame) -> list[bytes]:
        """Return what has become whole with this frame; `VALIDATION`, when it cannot be helped."""
        samples, rate = frame.samples, frame.sample_rate
        is_usual = rate == self._format.sample_rate and is_pcm(samples)
        if is_usual and samples.shape == self._shape and not len(self._rest):
            return [samples.tobytes()]
        if not is_pcm(samples) or samples.shape[1] != self._format.channels:
            raise self._wrong(frame, "samples are int16, of as many channels as the input has")
        if rate not in RATES:
            raise self._wrong(frame, "a rate is from 8,000 to 192,000 Hz")
        if len(samples) > rate:
            raise self._wrong(frame, "a frame has at most a second")
        if rate != self._format.sample_rate:
            try:
                samples = self._convert(frame)
            except Exception as error:
                raise self._wrong(frame, foreign_text(str(error))) from error
        return self._whole(samples)

    def finish(self) -> list[bytes]:
        """Return what is left, filled up with silence."""
        left = [] if self._resampler is None else self._resampler.flush()
        pieces = self._whole(self._joined(left))
        rest, self._rest = self._rest, self._rest[:0]
        missing = self._format.samples_per_frame - len(rest)
        return [*pieces, np.pad(rest, ((0, missing), (0, 0))).tobytes()] if len(rest) else pieces

    def _whole(self, samples: Samples) -> list[bytes]:
        size = self._format.samples_per_frame
        sound = np.concatenate((self._rest, samples))
        end = len(sound) - len(sound) % size
        self._rest = sound[end:]
        return [sound[begin : begin + size].tobytes() for begin in range(0, end, size)]

    def _convert(self, frame: AudioFrame) -> Samples:
        if self._resampler is None or frame.sample_rate != self._rate:
            sdk, self._rate = native.sdk(), frame.sample_rate
            self._resampler = sdk.AudioResampler(
                self._rate,
                self._format.sample_rate,
                num_channels=self._format.channels,
                quality=sdk.AudioResamplerQuality.LOW,  # the default holds back 36 ms
            )
        return self._joined(self._resampler.push(bytearray(frame.samples.tobytes())))

    def _joined(self, frames: list[rtc.AudioFrame]) -> Samples:
        sound = b"".join(bytes(frame.data.cast("B")) for frame in frames)
        return np.frombuffer(sound, np.int16).reshape(-1, self._format.channels)

    def _wrong(self, frame: AudioFrame, why: str) -> UTDStreamException:
        samples = frame.samples
        what = f"{getattr(samples, 'dtype', type(samples).__name__)} of {np.shape(samples)}"
        return invalid(
            f"The audio input delivers {what} at {frame.sample_rate} Hz, which cannot be sent as "
            f"{self._format}: {why}."
        )
