"""From one format to another: channels, and where a device insists on it, the sample rate."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from attrs import frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import Samples


class StreamFormat(Protocol):
    """What a stream of samples is like: an `AudioFormat`, or a `DeviceFormat`."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""

    @property
    def channels(self) -> int:
        """How many."""


@frozen
class DeviceFormat:
    """A device's own format; unlike an `AudioFormat` it need not have whole frames of 10 ms."""

    sample_rate: int
    channels: int


def to_channels(samples: Samples, channels: int) -> Samples:
    """Return `(n, channels)`: one channel on all of them, or the mean of all of them."""
    if samples.shape[1] == channels:
        return samples
    if samples.shape[1] == 1:
        return np.repeat(samples, channels, axis=1)
    mean = samples.mean(axis=1, keepdims=True)
    return np.repeat(np.rint(mean).astype(np.int16), channels, axis=1)


class Converter:
    """Turns a stream of one format into another; nothing is computed where they are the same.

    Args:
        source: What comes.
        target: What is wanted.

    Raises:
        UTDStreamException: `FEATURE_DISABLED`, when the rates differ and soxr is not installed.
    """

    def __init__(self, source: StreamFormat, target: StreamFormat) -> None:
        self._channels = target.channels
        self._resampler: Any = None
        if source.sample_rate != target.sample_rate:
            try:
                import soxr
            except ImportError as error:
                raise UTDStreamException(
                    f"converting {source.sample_rate} Hz to {target.sample_rate} Hz needs soxr: "
                    "pip install 'utd-rx[audio]'",
                    code=UTDErrorCode.FEATURE_DISABLED,
                ) from error
            # "LQ" holds a third back of what the default does (facts/livekit.md §2.4): at most 600
            # samples of the lower rate, 12 ms at 48 kHz (tests/audio/test_convert.py).
            self._resampler = soxr.ResampleStream(
                source.sample_rate, target.sample_rate, target.channels, "int16", "LQ"
            )

    def clear(self) -> None:
        """Forget what is held back."""
        if self._resampler is not None:
            self._resampler.clear()

    def push(self, samples: Samples) -> Samples:
        """Take `(n, channels)` int16 and return what has become ready, `(m, channels)` int16."""
        samples = to_channels(samples, self._channels)
        if self._resampler is None:
            return samples
        converted: Samples = self._resampler.resample_chunk(np.ascontiguousarray(samples))
        return converted.reshape(-1, self._channels)
