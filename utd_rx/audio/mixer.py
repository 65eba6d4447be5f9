"""Many voices into one sound.

A voice costs one pull and one addition, however many there are; one that is silent costs almost
nothing. Gains move within a block, never by a step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from utd_rx.audio.convert import Converter, DeviceFormat, playable
from utd_rx.audio.jitter import JitterBuffer, Mix
from utd_rx.audio.limiter import Limiter
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples, is_pcm
from utd_rx.ports.audio import check_gain


class Voice:
    """One participant in the mix. It is a `FrameSink`: called on one thread at a time.

    Attributes:
        name: Whose it is.
        refused: Frames that could not be converted.
    """

    def __init__(
        self,
        name: str,
        gain: float,
        audio_format: AudioFormat,
        burst: float,
        close: Callable[[Voice], None],
    ) -> None:
        self.name = name
        self.refused = 0
        self.buffer = JitterBuffer(audio_format, burst)
        self._gain = self._reached = check_gain(gain)
        self._format = audio_format
        self._source: DeviceFormat | None = None
        self._converter: Converter | None = None
        self._close = close

    def __call__(self, frame: AudioFrame) -> None:
        """Take a frame of any format, on any thread; returns at once, never raises."""
        try:
            self.buffer.push(self._fit(frame))
        except Exception:  # noqa: BLE001 - counted: whoever hands sound over is not disturbed
            self.refused += 1

    @property
    def gain(self) -> float:
        """How loud it is in the mix: 0 to 4, 1 for unchanged. Set it on any thread."""
        return self._gain

    @gain.setter
    def gain(self, gain: float) -> None:
        self._gain = check_gain(gain)

    @property
    def position(self) -> float:
        """Seconds of this voice that went into the mix; the speaker's delay is still to come."""
        return self.buffer.taken / self._format.sample_rate

    def flush(self) -> None:
        """Drop what waits, with a fade; what comes later is played. Any thread."""
        self.forget(fade=True)

    def forget(self, *, fade: bool) -> bool:
        """Drop what waits, also in the converter; return whether a fade is left to be pulled."""
        self._source = None
        return self.buffer.clear(fade=fade)

    def close(self) -> None:
        """Leave the mix, with a fade. Idempotent, any thread."""
        self._close(self)

    def mix_into(self, mix: Mix) -> None:
        """Add the next `len(mix)` samples; the mixer's thread."""
        sound = self.buffer.pull(len(mix))
        start, self._reached = self._reached, self._gain
        if sound is None:
            return
        if start == self._reached:
            mix += sound if start == 1.0 else sound * np.float32(start)
        else:
            mix += sound * _ramp(start, self._reached, len(mix))

    def _fit(self, frame: AudioFrame) -> Samples:
        samples = frame.samples
        if not is_pcm(samples):
            raise TypeError("no int16 of shape (samples, channels)")
        rate, channels = frame.sample_rate, samples.shape[1]
        if rate == self._format.sample_rate and channels == self._format.channels:
            return samples
        source = DeviceFormat(rate, channels)
        if self._converter is None or self._source != source:
            playable(rate, channels)  # or it is refused
            self._source, self._converter = source, Converter(source, self._format)
        return self._converter.push(samples)


class Mixer:
    """All voices, the volume, the mute and the limiter.

    `pull` belongs to one thread; everything else may be called on any.

    Args:
        audio_format: Of the mix.
        burst: Seconds that are pulled at once.

    Attributes:
        position: Samples mixed.
        voices: Who is in the mix.
    """

    def __init__(self, audio_format: AudioFormat, burst: float = 0.005) -> None:
        self.format = audio_format
        self._burst = burst
        self.position = 0
        self.volume = 1.0
        self.is_muted = False
        self._reached = 1.0
        self._lock = threading.Lock()
        self.voices: tuple[Voice, ...] = ()
        self._leaving: tuple[Voice, ...] = ()
        self._limiter = Limiter(audio_format.sample_rate)
        self._left: list[int] = [0, 0, 0]  # concealed, dropped, refused of voices that left

    def add(self, name: str, gain: float) -> Voice:
        """Return a new voice."""
        voice = Voice(name, gain, self.format, self._burst, self._remove)
        with self._lock:
            self.voices = (*self.voices, voice)
        return voice

    def pull(self, count: int) -> Samples:
        """Return the next `count` samples of the mix, `(count, channels)` int16."""
        mix: Mix = np.zeros((count, self.format.channels), np.float32)
        with self._lock:
            voices, self._leaving = self.voices + self._leaving, ()
        for voice in voices:
            voice.mix_into(mix)
        start, self._reached = self._reached, 0.0 if self.is_muted else self.volume
        if start != self._reached:
            mix *= _ramp(start, self._reached, count)
        elif start != 1.0:
            mix *= np.float32(start)
        self.position += count
        return self._limiter.push(mix)

    def flush(self) -> None:
        """Drop what all voices have waiting; the fade is the device's side's."""
        for voice in self.voices:
            voice.forget(fade=False)

    def counts(self) -> tuple[int, int, int]:
        """Return the samples concealed, the samples dropped and the frames refused so far."""
        with self._lock:
            concealed, dropped, refused = self._left
            for voice in self.voices:
                concealed += voice.buffer.concealed
                dropped += voice.buffer.dropped
                refused += voice.refused
        return concealed, dropped, refused

    def _remove(self, voice: Voice) -> None:
        with self._lock:
            if voice not in self.voices:
                return
            self.voices = tuple(other for other in self.voices if other is not voice)
            if voice.forget(fade=True):
                self._leaving += (voice,)
            self._left[0] += voice.buffer.concealed
            self._left[1] += voice.buffer.dropped
            self._left[2] += voice.refused


def _ramp(start: float, end: float, count: int) -> Mix:
    return np.linspace(start, end, count, dtype=np.float32)[:, np.newaxis]
