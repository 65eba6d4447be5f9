"""A device that runs: a PortAudio stream, and the ring between its callback and the thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from utd_rx.audio import portaudio
from utd_rx.audio.convert import DeviceFormat
from utd_rx.audio.ring import Ring
from utd_rx.models.audio import AudioFormat
from utd_rx.models.devices import AudioDevice


class DeviceConnection:
    """A `supervisor.Connection`; a subclass says what its callback does.

    Args:
        device: Which.
        audio_format: Wished; the device may insist on another, see `format`.
        block: Seconds per callback.
        wake: Rings the bell.

    Attributes:
        beats: Callbacks so far.
        flagged: Those that PortAudio said had lost something.
        block: Samples per callback.
        latency: Seconds between the callback and the air, as PortAudio tells them.

    Raises:
        UTDStreamException: As `portaudio.open_stream`.
    """

    ring_seconds: ClassVar[float]

    def __init__(
        self,
        device: AudioDevice,
        audio_format: AudioFormat,
        block: float,
        wake: Callable[[], None],
    ) -> None:
        self.device = device
        self.beats = self.flagged = 0
        self.wake = wake
        self._stream = stream = portaudio.open_stream(
            device, audio_format.sample_rate, audio_format.channels, block, self.callback
        )
        self.format = DeviceFormat(stream.sample_rate, stream.channels)
        self.block, self.latency = stream.block, stream.latency
        self.ring = Ring(round(self.ring_seconds * stream.sample_rate), stream.channels)
        self._prepare()
        try:
            stream.start()
        except BaseException:
            stream.close()
            raise

    @property
    def is_active(self) -> bool:
        """Whether callbacks may still come."""
        return self._stream.is_active

    @property
    def is_displaced(self) -> bool:
        """Whether PortAudio was restarted under it."""
        return self._stream.is_displaced

    def callback(self, data: Any, count: int, at: Any, flags: Any) -> None:
        """Copy a block, count, return: on PortAudio's thread, in real time."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Get ready for the first callback."""
        raise NotImplementedError

    def close(self) -> None:
        """Let no more callbacks come. Idempotent."""
        self._stream.close()
