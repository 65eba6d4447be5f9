"""A device that runs, a PortAudio stream with a ring behind its callback; and who works with it."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any, ClassVar, Final, Generic, TypeVar

from utd_rx.audio import devices, portaudio
from utd_rx.audio.convert import DeviceFormat
from utd_rx.audio.ring import Ring
from utd_rx.models.audio import AudioFormat, Samples
from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceChoice


class DeviceConnection:
    """A `supervisor.OpenDevice`; a subclass says what its callback does.

    The device may insist on another `format` than the wished one. `block` is given in seconds and
    kept in samples, `latency` is PortAudio's, in seconds, and `flagged` are the callbacks that
    PortAudio said had lost something.
    """

    direction: ClassVar[AudioDirection]
    ring_seconds: ClassVar[float]

    _at_hand: Samples | None = None
    """A block that goes past the ring: between a callback and the work that it has done itself."""
    _asking = 0  # the thread of that callback

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

    @property
    def faults(self) -> int:
        """Blocks and samples that were lost."""
        raise NotImplementedError

    def callback(self, data: Any, count: int, at: Any, flags: Any) -> None:
        """Copy a block, count, `wake`, return: on PortAudio's thread, in real time."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Get ready for the first callback."""
        raise NotImplementedError

    def _have_work_done(self, block: Samples | None = None) -> Samples | None:
        """Have it done at once, with a block at hand, or else later; return what is at hand then.
        The callback's, of which another thread sees nothing."""
        self._asking, self._at_hand = get_ident(), block
        self.wake()
        left, self._at_hand, self._asking = self._at_hand, None, 0
        return left

    @property
    def depth(self) -> int:
        """Samples that wait, or are at hand."""
        at_hand = self._at_hand
        return self.ring.depth + (0 if at_hand is None else len(at_hand))

    @property
    def _is_at_once(self) -> bool:
        """Whether work is done in a callback."""
        return self._asking == get_ident()

    def close(self) -> None:
        """Let no more callbacks come. Idempotent."""
        self._stream.close()


SILENCE: Final = 0.5
"""Seconds without a callback after which a stream is dead: 10 of the longest blocks there are."""

GRACE: Final = 2.5
"""The same before the first callback: a card may need 1-2 s to warm up."""

C = TypeVar("C", bound=DeviceConnection)


class DeviceSide(Generic[C]):
    """A `supervisor.Side`: one connection after another; a subclass says what work there is."""

    kind: type[C]
    silence = SILENCE
    grace = GRACE
    blame = "its sound server ended"

    def __init__(self, audio_format: AudioFormat, block: float) -> None:
        self._format = audio_format
        self._block = block
        self._connection: C | None = None
        self._faults_before = 0
        self.at_once = block / 2

    @property
    def faults(self) -> int:
        """Blocks and samples that were lost, since the beginning."""
        return self._faults_before + (0 if self._connection is None else self._connection.faults)

    @property
    def latency(self) -> float:
        """Seconds between the air and the callback, as PortAudio tells them."""
        return 0.0 if self._connection is None else self._connection.latency

    @property
    def waiting(self) -> float:
        """Seconds of sound in the ring."""
        connection = self._connection
        return 0.0 if connection is None else connection.depth / connection.format.sample_rate

    def connect(self, choice: DeviceChoice, wake: Callable[[], None]) -> C:
        """Open the device."""
        device = devices.find_device(choice, self.kind.direction)
        return self.kind(device, self._format, self._block, wake)

    def look_out(self, choice: DeviceChoice) -> devices.Lookout:
        """Return what waits for a device that is away."""
        return devices.Lookout(choice, self.kind.direction)

    def adopt(self, connection: C | None) -> None:
        """Work with this connection from now on."""
        self._faults_before = self.faults
        self._connection = connection
