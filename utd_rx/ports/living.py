"""What is alive in this process, by key: how a key that crossed a port finds its thing.

The room and the devices live in one process, which is not always the app's. A microphone is an
`AudioInput` there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakValueDictionary

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.audio import AudioFrame, FrameSink
from utd_rx.models.devices import DeviceKey

_living: WeakValueDictionary[DeviceKey, Any] = WeakValueDictionary()


class Voice(Protocol):
    """A place in a speaker's mix: a `FrameSink` until it is closed."""

    gain: float
    """0 to 4, 1 for unchanged."""

    @property
    def position(self) -> float:
        """Seconds of this voice that went into the mix; the speaker's delay is still to come."""

    @property
    def waiting(self) -> float:
        """Seconds of it that are left to go into the mix."""

    def __call__(self, frame: AudioFrame) -> None:
        """Take a frame of any format, on any thread; returns at once and never raises."""

    def flush(self) -> None:
        """Drop what waits, with a fade; what comes later is played."""

    def close(self) -> None:
        """Leave the mix. Idempotent."""


class LivingReference(Protocol):
    """What plays near a microphone, where it is alive: mostly a speaker."""

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        """Give `sink` every frame before it is heard, `at` when it will be; call to stop."""


class LivingSpeaker(LivingReference, Protocol):
    """A speaker where it is alive, open or not; without frames all raises `FEATURE_DISABLED`."""

    @property
    def position(self) -> float:
        """Seconds of sound and silence that have left the device since it was first opened."""

    def voice(self, name: str, *, gain: float = 1.0, margin: float | None = None) -> Voice:
        """Return a new place in its mix; see `utd_rx.audio.speaker.Speaker.voice`."""


def enter(key: DeviceKey, thing: object) -> None:
    """Let `key` name `thing` in this process, for as long as that lives."""
    try:
        _living[key] = thing
    except TypeError as error:
        raise invalid(f"a {key.kind} has to be an object that can be referred to weakly") from error


def is_here(key: DeviceKey) -> bool:
    """Return whether `key` names something that is alive in this process, and no stand-in for what
    lives elsewhere."""
    thing = _living.get(key)
    return thing is not None and not getattr(thing, "lives_elsewhere", False)


def find(key: DeviceKey) -> Any:
    """Return what `key` names, or raise `NOT_FOUND` when it is not alive here, or any more."""
    if (thing := _living.get(key)) is None:
        message = f"no {key.kind} {key.id} is alive in this process"
        raise UTDStreamException(message, code=UTDErrorCode.NOT_FOUND)
    return thing
