"""From one format to another: number type, channels, and sample rate where one is insisted on."""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from attrs import frozen

from utd_rx.audio.ratio import RatioStream, is_whole
from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.audio import AudioFormat, AudioFrame, Samples

CONVERTED_RATE: Final = 48_000  # Opus's, for sound without frames of 10 ms, such as 22,050 Hz
LOWEST_RATE: Final = 1_000
HIGHEST_RATE: Final = 768_000  # beyond them a header is wrong rather than unusual

_CENTRE_AND_SCALE: Final = {
    ("i", 1): (0.0, 2.0**-7),
    ("u", 1): (128.0, 2.0**-7),  # as in a WAV file
    ("i", 2): (0.0, 2.0**-15),
    ("i", 4): (0.0, 2.0**-31),
}
_WRAP: Final = 0.05  # seconds of a loop converted beyond either end, so that no edge is heard


@frozen
class DeviceFormat:
    """A device's own format; unlike an `AudioFormat` it need not have whole frames of 10 ms."""

    sample_rate: int
    channels: int


StreamFormat: TypeAlias = AudioFormat | DeviceFormat


def to_unit(samples: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return samples as 64 bit floats of full scale ±1, so that no type is too small to compute in.

    They are floats of that scale, or signed integers of 8, 16 or 32 bits or unsigned ones of 8 and
    the scale of their type, of either byte order; others are refused as `VALIDATION`.
    """
    dtype = samples.dtype
    if dtype.kind == "f":
        return samples.astype(np.float64, copy=False)
    known = _CENTRE_AND_SCALE.get((dtype.kind, dtype.itemsize))
    if known is None:
        raise invalid(
            "samples are floats of full scale ±1, signed integers of 8, 16 or 32 bits or unsigned "
            f"ones of 8, not {dtype}"
        )
    centre, scale = known
    values = samples.astype(np.float64)
    values -= centre
    values *= scale
    return values


def to_pcm(samples: npt.NDArray[Any]) -> Samples:
    """Return what `to_unit` takes as int16 of the same shape; beyond ±1 clips, NaN becomes 0."""
    if samples.dtype.kind == "i" and samples.dtype.itemsize == 2:
        return samples.astype(np.int16, order="C")
    scaled = np.nan_to_num(to_unit(samples), posinf=1.0, neginf=-1.0) * 32_768.0
    pcm: Samples = np.rint(np.clip(scaled, -32_768.0, 32_767.0)).astype(np.int16)
    return pcm


def playable(sample_rate: int, channels: int) -> AudioFormat:
    """Return the format in which sound of that rate is delivered: its own, if it can be.

    Refused as `VALIDATION` when nothing can be made of it, as `FEATURE_DISABLED` when it has to be
    converted and soxr is not installed.
    """
    is_whole = isinstance(sample_rate, int | np.integer)
    if channels not in (1, 2) or not is_whole or not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise invalid(
            f"sound has {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz and 1 or 2 channels, not "
            f"{sample_rate} Hz and {channels} channel(s)"
        )
    try:
        return AudioFormat(int(sample_rate), channels)
    except ValueError:
        _soxr(sample_rate, CONVERTED_RATE)
        return AudioFormat(CONVERTED_RATE, channels)


def resample(samples: Samples, source: int, target: int, *, loop: bool = False) -> Samples:
    """Return the whole of a sound, `(n, channels)` int16, at another rate in Hz.

    The end of a loop goes on with its beginning. Refused without soxr, as `playable`.
    """
    if source == target:
        return samples
    soxr = _soxr(source, target)
    step = source // math.gcd(source, target)
    margin = step * math.ceil(_WRAP * source / step) if loop else 0
    if loop:
        around = np.arange(-margin, len(samples) + margin)
        samples = samples.take(around, axis=0, mode="wrap")
    converted: Samples = soxr.resample(samples, source, target)
    edge = margin * target // source
    return converted[edge : len(converted) - edge] if loop else converted


def to_channels(samples: Samples, channels: int) -> Samples:
    """Return `(n, channels)`: one channel on all of them, or the mean of all of them."""
    if samples.shape[1] == channels:
        return samples
    if samples.shape[1] == 1:
        return np.repeat(samples, channels, axis=1)
    mean = samples.mean(axis=1, keepdims=True)
    return np.repeat(np.rint(mean).astype(np.int16), channels, axis=1)


def cut(
    sound: Samples, audio_format: AudioFormat, began_at: float
) -> tuple[list[AudioFrame], Samples]:
    """Return the frames of 10 ms in a sound, and what is left over; all are views of it."""
    rate, size = audio_format.sample_rate, audio_format.samples_per_frame
    frames: list[AudioFrame] = []
    while len(sound) >= size:
        piece, sound = sound[:size], sound[size:]
        piece.flags.writeable = False
        frames.append(AudioFrame(piece, rate, began_at))
        began_at += size / rate
    return frames, sound


class Converter:
    """Turns a stream of one format into another; nothing is computed where they are the same.

    Refused as `FEATURE_DISABLED` when neither rate is a multiple of the other and soxr is not
    installed.
    """

    def __init__(self, source: StreamFormat, target: StreamFormat) -> None:
        self._channels = target.channels
        self._resampler: Any = None
        rates = source.sample_rate, target.sample_rate
        if rates[0] != rates[1]:
            # "LQ" holds a third back of what the default does (docs/livekit.md, "Sound"): at most
            # 600 samples of the lower rate, 12 ms at 48 kHz (tests/audio/test_convert.py).
            self._resampler = (
                RatioStream(*rates, target.channels)
                if is_whole(*rates)
                else _soxr(*rates).ResampleStream(*rates, target.channels, "int16", "LQ")
            )

    def clear(self) -> None:
        """Forget what is held back."""
        if self._resampler is not None:
            self._resampler.clear()

    def push(self, samples: Samples) -> Samples:
        """Take `(n, channels)` int16 and return what has become ready, `(m, channels)` int16."""
        if samples.shape[1] != self._channels:
            samples = to_channels(samples, self._channels)
        if self._resampler is None:
            return samples
        converted: Samples = self._resampler.resample_chunk(np.ascontiguousarray(samples))
        return converted.reshape(-1, self._channels)

    def finish(self) -> Samples:
        """Return what is held back, as what came was all; what comes next is another sound."""
        rest: Samples = np.zeros((0, self._channels), np.int16)
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(rest, last=True).reshape(-1, self._channels)
            self._resampler.clear()
        return rest


def _soxr(source: int, target: int) -> Any:
    try:
        import soxr
    except ImportError as error:
        raise UTDStreamException(
            f"converting {source} Hz to {target} Hz needs soxr: pip install 'utd-rx[audio]'",
            code=UTDErrorCode.FEATURE_DISABLED,
        ) from error
    return soxr
