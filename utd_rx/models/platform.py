"""WebRTC's own device module: what describes it as values, and the ports to it.

It moves sound between the devices and the network without any of it passing Python. There is one
in a process; a microphone and a speaker hold a side of it each. `utd_rx.audio` uses these ports
and `utd_rx.rtc` serves them; neither imports the other, so both find them here.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol, runtime_checkable

from attrs import frozen

from utd_rx.models.audio import AudioInput, AudioInputStream
from utd_rx.models.checks import typed


class PlatformDirection(Enum):
    """A side of the module."""

    INPUT = "input"
    OUTPUT = "output"


@frozen(field_transformer=typed)
class PlatformDevice:
    """A device as WebRTC knows it.

    Args:
        id: Names it; on Linux it is a number that changes as devices come and go.
        name: For people; the first of a list is the default and says so.
    """

    id: str
    name: str


@frozen(field_transformer=typed)
class PlatformInput:
    """Says of an `AudioInput` that it is the module's microphone and gives no frames.

    A room publishes it as a track of the module's own instead of calling its sink.
    """


class PlatformSide(Protocol):
    """One side of the module, held until it is closed."""

    def devices(self) -> tuple[PlatformDevice, ...]:
        """Return what there is now; blocks for some milliseconds."""

    def select(self, device: PlatformDevice) -> None:
        """Use this device from the next start on.

        Raises:
            UTDStreamException: `NOT_FOUND` when it is gone, or while another one is open.
        """

    def close(self) -> None:
        """Let go of it. Idempotent."""


class PlatformTrack(Protocol):
    """The published track of the module's microphone; on the room's loop."""

    @property
    def is_muted(self) -> bool:
        """Whether nobody hears it; the device is closed then."""

    def restart(self, change: Callable[[], None] | None = None) -> None:
        """Close the device, call `change`, and open it again unless the track is muted.

        Raises:
            Exception: What `change` raised; the device is open again then.
        """

    async def heard(self) -> float | None:
        """Return the seconds of sound it has got from the device; None while nobody can tell."""


@runtime_checkable
class PlatformStream(AudioInputStream, Protocol):
    """An open microphone of the module, which wants to know its track."""

    def attach(self, track: PlatformTrack) -> None:
        """Take the track that is published now."""

    def mute_changed(self) -> None:
        """Take note that the room muted or unmuted the track."""


def platform_input(source: AudioInput) -> PlatformInput | None:
    """Return what `source` says of the module, None where it gives frames of its own."""
    found = getattr(source, "platform", None)
    return found if isinstance(found, PlatformInput) else None
