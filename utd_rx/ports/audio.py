"""The audio port: microphones and speakers, each by its key.

`audio` serves it over PortAudio, `rtc` over WebRTC's own device module, `FakeAudio` for tests; an
adapter in a media process can serve it too. What crosses it is frozen and can be pickled:

| | |
| --- | --- |
| in | `DeviceKey`, settings of microphones and speakers, orders, device choices |
| out | `Abilities`, batches of `MicrophoneState` or `SpeakerState`, batches of `AudioFrame` |
| errors | `UTDStreamException`, also as the `failure` in a state |

A key is made on the caller's side, which names what is to be at the other one. There the device is
alive from `add` on, entered in `ports.living`, so a room of that process finds it: it publishes a
microphone and plays tracks on a speaker without their sound passing here.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Final, Protocol, TypeAlias

from attrs import field, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.audio import AudioFormat
from utd_rx.models.checks import typed
from utd_rx.models.device_state import MicrophoneState, SpeakerState
from utd_rx.models.devices import DeviceChoice, DeviceKey
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports.room import FramesSink

BLOCK: Final = 0.0025
"""Seconds per callback. PortAudio holds two blocks, and the jitter buffer one more: 6 ms less from
card to card than with 5 ms blocks, at the same CPU (docs/audio.md, "Figures")."""

SHORTEST_BLOCK: Final = 0.001
LONGEST_BLOCK: Final = 0.05

MAX_GAIN: Final = 4.0
"""+12 dB; more is only louder noise, and the limiter works all the time."""


def check_block(block: float) -> float:
    """Return `block`.

    Raises:
        UTDStreamException: `VALIDATION`, unless it is from `SHORTEST_BLOCK` to `LONGEST_BLOCK`.
    """
    return _within(block, SHORTEST_BLOCK, LONGEST_BLOCK, "a block is from 0.001 to 0.05 s")


def check_gain(gain: float) -> float:
    """Return `gain`.

    Raises:
        UTDStreamException: `VALIDATION`, unless it is from 0 to `MAX_GAIN`.
    """
    return _within(gain, 0.0, MAX_GAIN, f"a gain is from 0 to {MAX_GAIN:g}")


def _within(value: float, least: float, most: float, rule: str) -> float:
    if not isinstance(value, Real) or not least <= value <= most:
        raise invalid(f"{rule}, not {value!r}")
    return value


@frozen(field_transformer=typed)
class Abilities:
    """What the devices of a port can do.

    Args:
        backend: The port's name, for messages.
        has_frames: Sound passes here, and all that is made of it: frames, levels, voice activity,
            gain, mute, voices, volume, flush, position.
        processing: What is always done to a voice; None where it can be chosen.
        plays_everybody: While a device is open, every remote track of the process is played.
        instead: Why something is missing, and what has it.
    """

    backend: str
    has_frames: bool = field(default=True, kw_only=True)
    processing: VoiceProcessing | None = field(default=None, kw_only=True)
    plays_everybody: bool = field(default=False, kw_only=True)
    instead: str = field(default="", kw_only=True)

    def lack(self, what: str, instead: str = "") -> UTDStreamException:
        """Return the error that says that these devices have no such thing, and what to do."""
        return UTDStreamException(
            f'backend="{self.backend}" does not give {what}: {instead or self.instead}',
            code=UTDErrorCode.FEATURE_DISABLED,
        )


@frozen(kw_only=True, field_transformer=typed)
class MicrophoneSettings:
    """A microphone as it is wished.

    Args:
        device: Which; None follows the system's default.
        format: Of the frames, whatever the device's own is.
        block: Seconds per callback of the device.
        processing: Of the voice.
        reference: What plays nearby: the key of a speaker, or of another
            `ports.living.LivingReference`.
        gain: 0 to 4, 1 for unchanged.
        is_muted: Frames are silent.
    """

    device: DeviceChoice = None
    format: AudioFormat = field(factory=AudioFormat)
    block: float = field(default=BLOCK, converter=check_block)
    processing: VoiceProcessing = field(factory=VoiceProcessing)
    reference: DeviceKey | None = None
    gain: float = field(default=1.0, converter=check_gain)
    is_muted: bool = False


@frozen(kw_only=True, field_transformer=typed)
class SpeakerSettings:
    """A speaker as it is wished.

    Args:
        device: Which; None follows the system's default.
        format: Of the mix, whatever the device's own is.
        block: Seconds per callback of the device.
        volume: 0 to 4, 1 for unchanged.
        is_muted: Nothing is heard; time goes on.
    """

    device: DeviceChoice = None
    format: AudioFormat = field(factory=AudioFormat)
    block: float = field(default=BLOCK, converter=check_block)
    volume: float = field(default=1.0, converter=check_gain)
    is_muted: bool = False


Settings: TypeAlias = MicrophoneSettings | SpeakerSettings


@frozen
class SetGain:
    """Make a microphone louder or softer, without a click."""

    gain: float = field(converter=check_gain)


@frozen
class SetVolume:
    """Make a speaker louder or softer, without a click."""

    volume: float = field(converter=check_gain)


@frozen(field_transformer=typed)
class SetMuted:
    """Make a microphone or a speaker silent; time goes on."""

    is_muted: bool


@frozen
class Flush:
    """Drop what a speaker has waiting, with a fade."""


Order: TypeAlias = SetGain | SetVolume | SetMuted | Flush
"""What acts at the next frame, and nobody waits for."""

DeviceState: TypeAlias = MicrophoneState | SpeakerState

StatesSink: TypeAlias = Callable[[tuple[DeviceState, ...]], None]
"""Takes what a device has told since the last call, at least one state, on its own loop; never
raises. While the loop is busy only the newest is kept, but each change of the failure is seen."""


class AudioPort(Protocol):
    """Microphones and speakers.

    `listen` and `hear` take a function of the caller's side, and call it on the loop that they are
    called on; all else that crosses is a value. What a command changed is told before it returns.
    """

    @property
    def abilities(self) -> Abilities:
        """What all of them can do; the same for as long as the port lives."""

    def add(self, key: DeviceKey, settings: Settings) -> None:
        """Let there be a device of that key. Nothing is opened, and this never waits."""

    def forget(self, key: DeviceKey) -> None:
        """Nobody asks for that key any more; any thread, never waits. What is open goes on until
        whoever opened it closes it."""

    def order(self, key: DeviceKey, order: Order) -> None:
        """Hand over an order; any thread, never waits. They are carried out in this sequence; one
        that makes no sense for the device, or for none, is nothing."""

    def listen(self, key: DeviceKey, sink: StatesSink) -> Callable[[], None]:
        """Tell `sink` the device's state, beginning with what it is now; call the result to stop.

        Raises:
            UTDStreamException: `NOT_FOUND`, for a key that was not added.
        """

    def hear(self, key: DeviceKey, sink: FramesSink) -> Callable[[], None]:
        """Give `sink` what a microphone hears, after mute, while it is open; call to stop.

        Raises:
            UTDStreamException: `NOT_FOUND`, for a key that was not added as a microphone.
        """

    async def open(self, key: DeviceKey) -> None:
        """Open the device. Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: `NOT_FOUND` no such device, or key; `VALIDATION` several fit, or the
                device refuses the format; `FEATURE_DISABLED` what it takes is not installed;
                `CONFLICT` when it is open, closed for good, or held by somebody else.
        """

    async def use(self, key: DeviceKey, device: DeviceChoice) -> None:
        """Change to another device, at once when open. Cancelling is safe: the swap goes on.

        Raises:
            UTDStreamException: As `open`; the old device goes on then.
        """

    async def process(self, key: DeviceKey, processing: VoiceProcessing) -> None:
        """Process a microphone's voice like that, from the next frame on when open.

        Cancelling is safe: the old processing goes on, or the new one is on already.

        Raises:
            UTDStreamException: `FEATURE_DISABLED`, when it cannot be done here; `CONFLICT`, when a
                later call or the end overtook this one. The old processing goes on then.
        """

    async def close(self, key: DeviceKey, *, for_good: bool = False) -> None:
        """Close the device. Idempotent; cancelling is safe, it closes all the same.

        Args:
            key: Which.
            for_good: It cannot be opened again, and what is being opened is closed.
        """
