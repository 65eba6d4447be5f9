"""Sound as values: formats, frames, and what it takes to be a source of them.

Inside the SDK sound is int16 in frames of 10 ms, the length WebRTC works in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from attrs import field, frozen
from attrs.validators import ge, gt, le

from utd_rx.errors import invalid
from utd_rx.models.checks import typed
from utd_rx.models.value import Value

FRAMES_PER_SECOND: Final = 100
"""WebRTC's frame is 10 ms; LiveKit refuses any other with a queue of 0
(docs/livekit.md, "Sound")."""

Samples: TypeAlias = npt.NDArray[np.int16]

_INT16: Final = np.dtype(np.int16)


def is_pcm(samples: object) -> bool:
    """Whether this is int16 of shape `(samples, channels)`, as a frame's samples must be."""
    return isinstance(samples, np.ndarray) and samples.dtype == _INT16 and samples.ndim == 2


@frozen(field_transformer=typed)
class AudioFormat(Value):
    """A sample rate in Hz (8,000–192,000, a multiple of 100) and a number of channels (1 or 2).

    Raises:
        UTDStreamException: `VALIDATION`: it is none; `WavSource` and `ArraySource` take sound of
            any rate and convert it.
    """

    sample_rate: int = field(default=48_000, validator=[ge(8_000), le(192_000)])
    channels: int = field(default=1, validator=[ge(1), le(2)])

    def __attrs_post_init__(self) -> None:
        # A native assert aborts the process on anything but whole 10 ms
        # (docs/livekit.md, "Native aborts").
        if self.sample_rate % FRAMES_PER_SECOND:
            raise invalid(
                f"sample_rate must be a multiple of 100, not {self.sample_rate}: frames are 10 ms "
                "of whole samples. WavSource and ArraySource convert sound of any rate"
            )

    @property
    def samples_per_frame(self) -> int:
        """Samples per channel in 10 ms."""
        return self.sample_rate // FRAMES_PER_SECOND


def _pcm(samples: Samples) -> Samples:
    if is_pcm(samples):
        return samples
    is_array = isinstance(samples, np.ndarray)
    what = f"{samples.dtype} of {samples.shape}" if is_array else type(samples).__name__
    raise invalid(f"AudioFrame.samples must be int16 of (samples, channels), not {what}")


@frozen(eq=False, field_transformer=typed, init=False, repr=False)
class AudioFrame:
    """10 ms of sound.

    Args:
        samples: int16, shape `(samples, channels)`, not writeable.
        sample_rate: In Hz.
        at: When the first sample was captured or received, in seconds of `time.monotonic()`.

    Raises:
        UTDStreamException: `VALIDATION`: samples of another type or shape, or a rate that is none.
    """

    samples: Samples = field(converter=_pcm)
    sample_rate: int = field(validator=gt(0))
    at: float = 0.0

    def __init__(self, samples: Samples, sample_rate: int, at: float = 0.0) -> None:
        if type(sample_rate) is int and sample_rate > 0 and type(at) is float and is_pcm(samples):
            # As the generated one does in twice the time: hundreds a second are made.
            _set_samples(self, samples)
            _set_sample_rate(self, sample_rate)
            _set_at(self, at)
        else:
            self.__attrs_init__(samples, sample_rate, at)

    def __repr__(self) -> str:
        # The level as `level_dbfs` counts it: the RMS of the loudest sine is 0.
        power = np.mean(np.square(self.samples, dtype=np.float64)) if self.samples.size else 0.0
        level = f"{10 * np.log10(2 * power / 32_768**2):.1f} dBFS" if power else "silent"
        return f"<AudioFrame {self.samples.shape} at {self.sample_rate} Hz, {level}>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the samples, for `np.asarray(frame)`."""
        return np.array(self.samples, dtype=dtype, copy=copy)

    @property
    def format(self) -> AudioFormat:
        """The frame's format."""
        return AudioFormat(self.sample_rate, self.samples.shape[1])

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


_set_samples, _set_sample_rate, _set_at = (
    vars(AudioFrame)[name].__set__ for name in ("samples", "sample_rate", "at")
)

FrameSink: TypeAlias = Callable[[AudioFrame], None]
"""Takes one frame; returns at once and never raises. May be called on any thread."""


class AudioInputStream(Protocol):
    """An open source of sound; frames flow into its sink until it is closed or ends."""

    async def wait_ended(self) -> None:
        """Wait until there is no more sound; for ever when the source has no end.

        Cancelling is safe.
        """

    async def aclose(self) -> None:
        """Stop; after it returns the sink is not called any more. Idempotent."""


class AudioInput(Protocol):
    """A source of sound as a value: a file, a tone, an array, a device.

    It is only a description, small and picklable; `open` makes it sound, in whichever process
    the room lives.
    """

    @property
    def format(self) -> AudioFormat:
        """The format of its frames."""

    async def open(self, sink: FrameSink) -> AudioInputStream:
        """Start to deliver frames of 10 ms to `sink`, paced in real time.

        A room also takes longer and shorter ones, up to a second, and such of another rate than
        `format` says; they are cut and converted. Other samples than int16, another number of
        channels, or what is no frame, end the publication with `LocalTrackFailed`.

        Raises:
            UTDStreamException: The source cannot be opened.
        """
