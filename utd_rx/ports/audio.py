"""The audio port: microphones and speakers, each by its key.

A key is made on the caller's side. On the other one the device is alive from `add` on, entered in
`ports.living`, so a room of that process finds it: it publishes a microphone and plays tracks on a
speaker without their sound passing here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from attrs import field, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat
from utd_rx.models.checks import number, typed
from utd_rx.models.device_state import MicrophoneState, SpeakerState
from utd_rx.models.devices import DeviceChoice, DeviceKey
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports.room import FramesSink

MICROPHONE_BLOCK: Final = 0.02
"""Seconds per callback, those of a packet: shorter ones are twice the work, and as LiveKit sends
two frames at a time no packet leaves sooner."""

SPEAKER_BLOCK: Final = 0.005
"""The same: silent within 20 ms of a flush, and 14 to 18 ms sooner heard than with those of a
frame, at twice the wake-ups. Sound servers on Linux take 5 ms at a time: shorter ones only go two
at once (benchmarks/audio.md, "Two blocks at once")."""

SHORTEST_BLOCK: Final = 0.001
LONGEST_BLOCK: Final = 0.05

MAX_GAIN: Final = 4.0
"""+12 dB; more is only louder noise, and the limiter works all the time."""


def check_block(block: float) -> float:
    """Return seconds from `SHORTEST_BLOCK` to `LONGEST_BLOCK`, or raise `VALIDATION`."""
    return number(block, "a block is from 0.001 to 0.05 s", SHORTEST_BLOCK, LONGEST_BLOCK)


def check_gain(gain: float) -> float:
    """Return a gain from 0 to `MAX_GAIN`, or raise `VALIDATION`."""
    return number(gain, f"a gain is from 0 to {MAX_GAIN:g}", 0.0, MAX_GAIN)


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
class Settings:
    """A device as it is wished; its own format may differ, and `block` is seconds per callback."""

    device: DeviceChoice = None
    format: AudioFormat = field(factory=AudioFormat)
    block: float = field(converter=check_block)
    is_muted: bool = False


@frozen(kw_only=True, field_transformer=typed)
class MicrophoneSettings(Settings):
    """A microphone as it is wished; `reference` is the key of a `living.LivingReference` nearby."""

    block: float = field(default=MICROPHONE_BLOCK, converter=check_block)
    processing: VoiceProcessing = field(factory=VoiceProcessing)
    reference: DeviceKey | None = None
    gain: float = field(default=1.0, converter=check_gain)


@frozen(kw_only=True, field_transformer=typed)
class SpeakerSettings(Settings):
    """A speaker as it is wished."""

    block: float = field(default=SPEAKER_BLOCK, converter=check_block)
    volume: float = field(default=1.0, converter=check_gain)


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


@frozen(field_transformer=typed)
class SetWatched:
    """Whether somebody looks at what a device tells: its level and voice activity 20 times a
    second, as from the beginning, or with what is counted, twice a second."""

    is_watched: bool


@frozen
class AwaitDevice:
    """Let the next opening wait for a device that is away, as for one that is lost while open: it
    succeeds, and is told as a failure until the device is there. Nothing to the platform's."""


Order: TypeAlias = SetGain | SetVolume | SetMuted | SetWatched | AwaitDevice | Flush
"""What acts at the next frame, and nobody waits for."""

DeviceState: TypeAlias = MicrophoneState | SpeakerState

StatesSink: TypeAlias = Callable[[tuple[DeviceState, ...]], None]
"""Takes what a device has told since the last call, at least one state, on its own loop; never
raises. While the loop is busy only the newest is kept, but each change of the failure is seen."""


class AudioPort(Protocol):
    """Microphones and speakers; what a command changed is told before it returns.

    Every call but `add`, `forget` and `order` raises `NOT_FOUND` for a key that was not added.
    """

    @property
    def abilities(self) -> Abilities:
        """What all of them can do; it never changes."""

    def add(self, key: DeviceKey, settings: Settings) -> None:
        """Let there be a device of that key. Nothing is opened, and this never waits."""

    def forget(self, key: DeviceKey) -> None:
        """Nobody asks for that key any more; any thread, never waits. What is open goes on until
        whoever opened it closes it."""

    def order(self, key: DeviceKey, order: Order) -> None:
        """Hand over an order; any thread, never waits. They are carried out in this sequence; one
        that makes no sense for the device, or for none, is nothing."""

    def listen(self, key: DeviceKey, sink: StatesSink) -> Callable[[], None]:
        """Tell `sink` on this loop the state, beginning with what it is now; call to stop."""

    def hear(self, key: DeviceKey, sink: FramesSink) -> Callable[[], None]:
        """Give `sink` on this loop what an open microphone hears, after mute; call to stop."""

    async def open(self, key: DeviceKey) -> None:
        """Open the device. Cancelling is safe: nothing is open then.

        Raises `NOT_FOUND` no such device; `VALIDATION` several fit, or it refuses the format;
        `FEATURE_DISABLED` what it takes is not installed; `CONFLICT` when it is open, closed for
        good, or held by somebody else.
        """

    async def use(self, key: DeviceKey, device: DeviceChoice) -> None:
        """Change to another device, at once when open; when it raises, as `open`, the old one goes
        on. Cancelling is safe: the swap goes on."""

    async def process(self, key: DeviceKey, processing: VoiceProcessing) -> None:
        """Process a microphone's voice like that, from the next frame on when open.

        Raises `FEATURE_DISABLED` when it cannot be done here, and `CONFLICT` when a later call or
        the end overtook this one. Cancelling is safe, too: old or new processing is on.
        """

    async def close(self, key: DeviceKey, *, for_good: bool = False) -> None:
        """Close the device; `for_good`, it cannot be opened again, and what is being opened is
        closed. Idempotent; cancelling is safe, it closes all the same."""
