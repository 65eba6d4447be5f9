"""Sound without a sound card: WAV files, tones and numpy arrays as audio inputs.

Each is a frozen, picklable description, as `MicrophoneInput` is; `open` makes it sound.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from utd_rx.audio.convert import playable, resample, to_pcm
from utd_rx.audio.pacer import PacedStream
from utd_rx.audio.wav import read_wav, read_wav_header
from utd_rx.errors import invalid
from utd_rx.models.audio import AudioFormat, FrameSink, Samples
from utd_rx.models.checks import absolute, typed
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock
from utd_rx.ports.threads import in_thread

_FULL_SCALE: Final = 32_768.0


def _to_path(path: str | Path) -> Path:
    return absolute(path, "WavSource.path")


def _to_samples(samples: npt.NDArray[Any]) -> Samples:
    array = np.asarray(samples)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or not array.size:
        raise invalid(f"samples must be (samples,) or (samples, channels), not {array.shape}")
    if len(array) <= 2 < array.shape[1]:
        raise invalid(
            f"samples must be (samples, channels), and {array.shape} looks like (channels, "
            "samples): pass samples.T"
        )
    return _read_only(to_pcm(array))


def _read_only(samples: Samples) -> Samples:
    samples.flags.writeable = False
    return samples


@frozen(field_transformer=typed)
class WavSource:
    """A WAV file: 8, 16, 24 or 32 bit PCM or floats, up to `wav.MAX_DECODED_BYTES`.

    A rate without frames of 10 ms, such as 22,050 Hz, is converted to 48 kHz. Making it reads the
    file's header, so a wrong path is told where it was written; `open` reads the sound, in a
    worker thread.

    Args:
        path: The file; relative ones are resolved at once, because the room may live in a
            process with another working directory.
        loop: Start again at the end, without a gap; otherwise the last frame is filled up with
            silence and the stream ends.
        clock: Paces the frames; for tests.

    Raises:
        UTDStreamException: `VALIDATION`, when the file is missing, unreadable, of a kind that is
            not supported, too big, empty, or of more than two channels; `FEATURE_DISABLED`, when
            its rate has to be converted and soxr is not installed.
    """

    path: Path = field(converter=_to_path)
    loop: bool = field(default=False, kw_only=True)
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True, eq=False, repr=False)
    format: AudioFormat = field(init=False)
    duration: float = field(init=False)
    """Seconds of sound in the file."""

    def __attrs_post_init__(self) -> None:
        header = read_wav_header(self.path)
        object.__setattr__(self, "format", header.format)
        object.__setattr__(self, "duration", header.duration)

    async def open(self, sink: FrameSink) -> PacedStream:
        """Start to deliver frames of exactly 10 ms to `sink`, paced in real time.

        Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: `VALIDATION`, as when it was made, and when the file has become
                one of another format since.
        """
        actual, samples = await in_thread(read_wav, self.path, loop=self.loop)
        if actual != self.format:
            raise invalid(
                f"{self.path} has changed from {self.format} to {actual}: make a new WavSource"
            )
        return _play(self, samples, sink, f"wav {self.path.name}")


@frozen(eq=False, field_transformer=typed)
class ArraySource:
    """Samples in memory.

    Args:
        samples: Shape `(samples,)` or `(samples, channels)`; floats with full scale ±1, which
            clip, or signed integers of 8, 16 or 32 bits or unsigned ones of 8, with that of their
            type. Copied as int16, so the array may change afterwards.
        sample_rate: In Hz, 1,000 to 768,000; one without frames of 10 ms, such as 22,050, is
            converted to 48 kHz.
        loop: Start again at the end, without a gap; otherwise the last frame is filled up with
            silence and the stream ends.
        clock: Paces the frames; for tests.

    Raises:
        UTDStreamException: `VALIDATION`, when there is no sample, or the type, shape or rate is
            not one of the above; `FEATURE_DISABLED`, when the rate has to be converted and soxr is
            not installed.
    """

    samples: Samples = field(converter=_to_samples, repr=False)
    sample_rate: int
    loop: bool = False
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True, repr=False)

    def __attrs_post_init__(self) -> None:
        playable(self.sample_rate, self.samples.shape[1])

    @property
    def format(self) -> AudioFormat:
        """The format of its frames."""
        return playable(self.sample_rate, self.samples.shape[1])

    @property
    def duration(self) -> float:
        """Seconds of sound in the array."""
        return len(self.samples) / self.sample_rate

    async def open(self, sink: FrameSink) -> PacedStream:
        """Start to deliver frames of exactly 10 ms to `sink`, paced in real time.

        Cancelling is safe: nothing is open then.
        """
        samples, rate = self.samples, self.format.sample_rate
        if rate != self.sample_rate:
            samples = await in_thread(resample, samples, self.sample_rate, rate, loop=self.loop)
        return _play(self, samples, sink, "array")


@frozen(field_transformer=typed)
class ToneSource:
    """A sine, the same on every channel, without a jump between frames.

    Args:
        frequency: In Hz, below half the sample rate.
        level_dbfs: At most 0, which is the loudest sine there is; `level_dbfs()` of the tone
            gives the same number.
        format: Rate and channels.
        duration: Seconds, None for no end; the last frame is filled up with silence.
        clock: Paces the frames; for tests.

    Raises:
        UTDStreamException: `VALIDATION`, when a number is out of its range.
    """

    frequency: float = 440.0
    level_dbfs: float = field(default=-12.0, kw_only=True)
    format: AudioFormat = field(factory=AudioFormat, kw_only=True)
    duration: float | None = field(default=None, kw_only=True)
    clock: Clock = field(default=SYSTEM_CLOCK, kw_only=True, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        nyquist = self.format.sample_rate / 2
        if not 0 < self.frequency < nyquist:
            raise invalid(f"frequency must be between 0 and {nyquist:g} Hz, not {self.frequency}")
        if not -math.inf < self.level_dbfs <= 0:
            raise invalid(f"level_dbfs must be at most 0, not {self.level_dbfs}")
        if self.duration is not None and not 0 < self.duration < math.inf:
            raise invalid(f"duration must be positive, or None, not {self.duration}")

    async def open(self, sink: FrameSink) -> PacedStream:
        """Start to deliver frames of exactly 10 ms to `sink`, paced in real time.

        Cancelling is safe: it does not wait for anything.
        """
        rate, size = self.format.sample_rate, self.format.samples_per_frame
        count = None if self.duration is None else max(1, round(self.duration * rate))
        amplitude = _FULL_SCALE * 10 ** (self.level_dbfs / 20)

        def make_frame(index: int) -> Samples:
            position = np.arange(index * size, (index + 1) * size)
            # Whole turns are taken away first, or the sine would lose precision over days.
            wave = amplitude * np.sin(2 * np.pi * np.fmod(position * (self.frequency / rate), 1.0))
            if count is not None:
                wave[max(0, count - index * size) :] = 0.0
            mono = np.minimum(np.rint(wave), _FULL_SCALE - 1).astype(np.int16)
            return _read_only(np.repeat(mono[:, np.newaxis], self.format.channels, axis=1))

        frames = None if count is None else -(-count // size)
        name = f"utd_rx.audio tone {self.frequency:g} Hz"
        return PacedStream(make_frame, frames, self.format, sink, self.clock, name=name)


def _play(
    source: WavSource | ArraySource, samples: Samples, sink: FrameSink, name: str
) -> PacedStream:
    audio_format, loop, clock = source.format, source.loop, source.clock
    size, total = audio_format.samples_per_frame, len(samples)
    samples = _read_only(samples.view())  # an array that was pickled has become writeable

    def make_frame(index: int) -> Samples:
        start = index * size % total if loop else index * size
        frame = samples[start : start + size]
        if len(frame) == size:
            return frame
        if loop:
            return _read_only(samples[np.arange(start, start + size) % total])
        return _read_only(np.pad(frame, ((0, size - len(frame)), (0, 0))))

    frames = None if loop else -(-total // size)
    return PacedStream(make_frame, frames, audio_format, sink, clock, name=f"utd_rx.audio {name}")
