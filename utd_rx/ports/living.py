"""What is alive in this process, by key: how a key that crossed a port finds its thing.

A room that publishes a microphone, or plays a track on a speaker, is given the key of it. The room
and the devices live in the same process, which is not always the app's; there the key is resolved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakValueDictionary

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInputStream, FrameSink
from utd_rx.models.devices import DeviceKey

_living: WeakValueDictionary[DeviceKey, Any] = WeakValueDictionary()


class Voice(Protocol):
    """A place in a speaker's mix: a `FrameSink` until it is closed."""

    gain: float
    """0 to 4, 1 for unchanged."""

    @property
    def position(self) -> float:
        """Seconds of this voice that went into the mix; the speaker's delay is still to come."""

    def __call__(self, frame: AudioFrame) -> None:
        """Take a frame of any format, on any thread; returns at once and never raises."""

    def flush(self) -> None:
        """Drop what waits, with a fade; what comes later is played."""

    def close(self) -> None:
        """Leave the mix. Idempotent."""


class LivingReference(Protocol):
    """What plays near a microphone, where it is alive: mostly a speaker."""

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        """Give every frame from now on to `sink` before it is heard; call the result to stop.

        `AudioFrame.at` is when its first sample will be heard.
        """


class LivingSpeaker(LivingReference, Protocol):
    """A speaker where it is alive; open or not.

    A speaker of a backend without frames raises `FEATURE_DISABLED` from all of this.
    """

    @property
    def position(self) -> float:
        """Seconds of sound and silence that have left the device since it was first opened."""

    def voice(self, name: str, *, gain: float = 1.0) -> Voice:
        """Return a new place in its mix; see `utd_rx.audio.speaker.Speaker.voice`."""


class LivingMicrophone(Protocol):
    """A microphone where it is alive: an `AudioInput`, which a room publishes."""

    @property
    def format(self) -> AudioFormat:
        """The format of its frames."""

    async def open(self, sink: FrameSink) -> AudioInputStream:
        """Start to deliver frames to `sink`, on a thread of the microphone."""


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
            f"no {key.kind} {key.id} is alive in this process",
            code=UTDErrorCode.NOT_FOUND,
        )
    return thing
