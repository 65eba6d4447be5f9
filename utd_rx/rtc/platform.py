"""WebRTC's own device module: one per process, held side by side
(docs/audio.md, "The platform backend").

`rtc.PlatformAudio` counts references to one native module: a second one would see the same devices
and silently share what was selected, so it is refused here. A device can be selected only while it
is not recording, and a muted track stops recording.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING, Final

from attrs import define

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceChoice, choose_device
from utd_rx.rtc import native

if TYPE_CHECKING:
    from livekit import rtc

_NOUNS: Final = {AudioDirection.INPUT: "microphone", AudioDirection.OUTPUT: "speaker"}

_CHANNELS: Final = {AudioDirection.INPUT: 1, AudioDirection.OUTPUT: 2}
"""As many as WebRTC asks a device for; what it has is not told."""


class PlatformModule:
    """The process's module: open while a side of it is held. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._audio: rtc.PlatformAudio | None = None
        self._held: set[AudioDirection] = set()

    @property
    def is_held(self) -> bool:
        """Whether WebRTC plays every remote track of the process."""
        return bool(self._held)

    def hold(self, direction: AudioDirection) -> PlatformSide:
        """Return that side; blocks for 0.1 s when the module is opened. `CONFLICT` when it is held
        already, `NOT_FOUND` when there is no such device."""
        with self._lock:
            if direction in self._held:
                raise conflict(
                    ConflictReason.BUSY,
                    "WebRTC has one device module per process, and another "
                    f"{_NOUNS[direction]} of the platform holds it: close that one first",
                )
            if self._audio is None:
                sdk = native.sdk()
                try:
                    self._audio = sdk.PlatformAudio()
                except sdk.PlatformAudioError as error:
                    raise _missing(f"WebRTC finds no sound device ({error})") from error
            self._held.add(direction)
            side = PlatformSide(self, direction, self._audio)
        if not side.devices():
            side.close()
            raise _missing(
                f"WebRTC finds no {direction.value} device (once a sound server has ended, not "
                "before a new process)"
            )
        return side

    def release(self, direction: AudioDirection) -> None:
        """Let go of a side. Idempotent."""
        with self._lock:
            self._held.discard(direction)
            audio = None if self._held else self._audio
            if audio is not None:
                self._audio = None
                audio.close()


@define(eq=False)
class PlatformSide:
    """One side of the module, held until it is closed; what is asked of it blocks for some ms."""

    _module: PlatformModule
    _direction: AudioDirection
    _audio: rtc.PlatformAudio
    _closed: bool = False

    def devices(self) -> tuple[AudioDevice, ...]:
        """Return what there is now; the first is the default and says so."""
        is_input = self._direction is AudioDirection.INPUT
        found = self._audio.recording_devices() if is_input else self._audio.playout_devices()
        # After the end of its sound server the module names a default that is nothing.
        named = [each for each in found if each.name.removeprefix("default:").strip()]
        channels = _CHANNELS[self._direction]
        return tuple(
            AudioDevice(each.id, each.name, self._direction, channels, 48_000, number == 0)
            for number, each in enumerate(named)
        )

    def find(self, choice: DeviceChoice) -> AudioDevice:
        """Return the chosen device, as `choose_device`."""
        return choose_device(self.devices(), choice, self._direction)

    def select(self, device: AudioDevice) -> None:
        """Use this device from the next start on; `NOT_FOUND` when it is gone, or while another
        one is open."""
        is_input = self._direction is AudioDirection.INPUT
        choose = self._audio.set_recording_device if is_input else self._audio.set_playout_device
        try:
            choose(device.id)
        except native.sdk().PlatformAudioError as error:
            raise UTDStreamException(
                f"WebRTC does not take {device.name!r} ({error})", code=UTDErrorCode.NOT_FOUND
            ) from error

    def make_source(self) -> rtc.PlatformAudioSource:
        return self._audio.create_audio_source()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._module.release(self._direction)


@cache
def module() -> PlatformModule:
    """Return the process's module; nothing is open until a side of it is held."""
    return PlatformModule()


def _missing(what: str) -> UTDStreamException:
    return UTDStreamException(
        f"{what}: plug one in, or start a sound server (pulseaudio --start); "
        "`utd-rx doctor` tells what is wrong",
        code=UTDErrorCode.NOT_FOUND,
    )
