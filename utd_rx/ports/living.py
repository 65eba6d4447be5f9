"""What is alive in this process, by key: how a key that crossed a port finds its thing.

A room that publishes a microphone, or plays a track on a speaker, is given the key of it. The room
and the devices live in the same process, which is not always the app's; there the key is resolved.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.models.devices import DeviceKey

T = TypeVar("T")

_living: WeakValueDictionary[DeviceKey, Any] = WeakValueDictionary()


class Voice(Protocol):
    """A place in a speaker's mix: a `FrameSink` until it is closed."""

    gain: float
    """0 to 4, 1 for unchanged."""

    def __call__(self, frame: AudioFrame) -> None:
        """Take a frame, on any thread; returns at once and never raises."""

    def close(self) -> None:
        """Leave the mix. Idempotent."""


class LivingSpeaker(Protocol):
    """A speaker where it is alive; open or not."""

    def voice(self, name: str, *, gain: float = 1.0) -> Voice:
        """Return a new place in its mix; see `utd_rx.audio.speaker.Speaker.voice`."""


def enter(key: DeviceKey, thing: object) -> None:
    """Let `key` name `thing` in this process, for as long as that lives."""
    _living[key] = thing


def find(key: DeviceKey) -> Any:
    """Return what `key` names.

    Raises:
        UTDStreamException: `NOT_FOUND` when it is not alive in this process, or any more.
    """
    thing = _living.get(key)
    if thing is None:
        raise UTDStreamException(
            f"no {key.kind} {key.id} is alive in the process that the room is in",
            code=UTDErrorCode.NOT_FOUND,
        )
    return thing
