"""WebRTC's own device module: one per process, held side by side; its microphone as a track.

What was measured on livekit 1.2.0 over PulseAudio, and shapes this file:

* `rtc.PlatformAudio` counts references to one native module. A second one sees the same devices
  and silently shares what was selected, so it is refused here.
* While it is held, every remote track of the process is played, in whatever room.
* Voice processing is always on: the options of `create_audio_source` change nothing.
* A device can be selected only while it is not recording; a muted track stops recording.
* Streams that the sound server kills stay silent without an error, until the track is muted and
  unmuted. When the server itself is gone the module never comes back in this process.
* Closing it under a published track or a room that plays is silence, no crash; under the latter
  WebRTC keeps one connection to the sound server, the same one, until the process ends.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFrame
from utd_rx.models.platform import PlatformDevice, PlatformDirection, PlatformSide
from utd_rx.rtc import native

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

STATS_TIMEOUT: Final = 2.0
"""Seconds for what takes 1.4 ms (facts/livekit.md §1.1)."""

_NOUNS: Final = {PlatformDirection.INPUT: "Microphone", PlatformDirection.OUTPUT: "Speaker"}


class PlatformModule:
    """The process's module: open while a side of it is held. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._audio: rtc.PlatformAudio | None = None
        self._held: set[PlatformDirection] = set()

    @property
    def is_held(self) -> bool:
        """Whether WebRTC plays every remote track of the process."""
        return bool(self._held)

    def hold(self, direction: PlatformDirection) -> PlatformSide:
        """Return that side; blocks for 0.1 s when the module is opened.

        Raises:
            UTDStreamException: `CONFLICT` when it is held already, `NOT_FOUND` when there is no
                such device, `FEATURE_DISABLED` when LiveKit's native library does not load.
        """
        with self._lock:
            if direction in self._held:
                noun = _NOUNS[direction]
                raise UTDStreamException(
                    "WebRTC has one device module per process, and another "
                    f'{noun}(backend="platform") holds it: close that one first',
                    code=UTDErrorCode.CONFLICT,
                )
            if self._audio is None:
                self._audio = _open()
            self._held.add(direction)
            side = _Side(self, direction, self._audio)
        if not side.devices():
            side.close()
            raise _missing(
                f"WebRTC finds no {direction.value} device (once a sound server has ended, not "
                "before a new process)"
            )
        return side

    def make_source(self) -> rtc.PlatformAudioSource:
        """Return a source of the module's microphone.

        Raises:
            UTDStreamException: `CONFLICT` when nobody holds that side.
        """
        with self._lock:
            if self._audio is None or PlatformDirection.INPUT not in self._held:
                raise UTDStreamException(
                    "the platform's microphone is not open", code=UTDErrorCode.CONFLICT
                )
            return self._audio.create_audio_source()

    def release(self, direction: PlatformDirection) -> None:
        """Let go of a side. Idempotent."""
        with self._lock:
            self._held.discard(direction)
            audio = None if self._held else self._audio
            if audio is not None:
                self._audio = None
                audio.close()


class _Side:
    """A side that is held: a `PlatformSide`."""

    def __init__(
        self, module: PlatformModule, direction: PlatformDirection, audio: rtc.PlatformAudio
    ) -> None:
        self._module = module
        self._direction = direction
        self._audio = audio
        self._closed = False

    def devices(self) -> tuple[PlatformDevice, ...]:
        """Return what there is now."""
        is_input = self._direction is PlatformDirection.INPUT
        found = self._audio.recording_devices() if is_input else self._audio.playout_devices()
        # After the end of its sound server the module names a default that is nothing.
        return tuple(
            PlatformDevice(device.id, device.name)
            for device in found
            if device.name.removeprefix("default:").strip()
        )

    def select(self, device: PlatformDevice) -> None:
        """Use this device from the next start on.

        Raises:
            UTDStreamException: `NOT_FOUND` when it is gone, or while another one is open.
        """
        is_input = self._direction is PlatformDirection.INPUT
        choose = self._audio.set_recording_device if is_input else self._audio.set_playout_device
        try:
            choose(device.id)
        except native.sdk().PlatformAudioError as error:
            raise UTDStreamException(
                f"WebRTC does not take {device.name!r} ({error})", code=UTDErrorCode.NOT_FOUND
            ) from error

    def close(self) -> None:
        """Let go of it. Idempotent."""
        if not self._closed:
            self._closed = True
            self._module.release(self._direction)


class PlatformOutlet:
    """Stands where a `Feeder` does, for a source whose sound does not pass Python."""

    def __init__(self) -> None:
        self._source: rtc.PlatformAudioSource | None = None

    @property
    def source(self) -> rtc.PlatformAudioSource:
        """The native source; made at first use, when the microphone holds its side.

        Raises:
            UTDStreamException: `CONFLICT` when it does not.
        """
        if self._source is None:
            self._source = module().make_source()
        return self._source

    def put(self, frame: AudioFrame) -> None:
        """Take a frame: there are none."""

    def start(self) -> None:
        """Let sound through: it flows as soon as the track is published."""

    async def drain(self) -> None:
        """Wait for nothing."""

    async def aclose(self) -> None:
        """Release the source. Idempotent."""
        source, self._source = self._source, None
        if source is not None:
            source.close()


class PublishedTrack:
    """The track of the module's microphone: a `PlatformTrack`."""

    def __init__(self, track: rtc.LocalAudioTrack) -> None:
        self._track = track

    @property
    def is_muted(self) -> bool:
        """Whether nobody hears it; the device is closed then."""
        return self._track.muted

    def restart(self, change: Callable[[], None] | None = None) -> None:
        """Close the device, call `change`, and open it again unless the track is muted.

        Raises:
            Exception: What `change` raised; the device is open again then.
        """
        is_muted = self.is_muted
        if not is_muted:
            self._track.mute()  # which has closed the device when it returns
        try:
            if change is not None:
                change()
        finally:
            if not is_muted:
                self._track.unmute()

    async def heard(self) -> float | None:
        """Return the seconds of sound it has got from the device; None while nobody can tell."""
        try:
            async with asyncio.timeout(STATS_TIMEOUT):
                entries = await self._track.get_stats()
        except Exception:
            # LiveKit raises plain `Exception`s, and does not answer when the room has gone.
            logger.debug("no statistics of the platform's microphone", exc_info=True)
            return None
        for entry in entries:
            if entry.WhichOneof("stats") == "media_source":
                return float(entry.media_source.audio.total_samples_duration)
        return None


@cache
def module() -> PlatformModule:
    """Return the process's module; nothing is open until a side of it is held."""
    return PlatformModule()


def hold(direction: PlatformDirection) -> PlatformSide:
    """Return a side of the process's module.

    Raises:
        UTDStreamException: As `PlatformModule.hold`.
    """
    return module().hold(direction)


def _open() -> rtc.PlatformAudio:
    try:
        sdk = native.sdk()
    except ImportError as error:
        raise UTDStreamException(
            f"LiveKit's native library does not load ({error}): "
            "pip install --force-reinstall livekit==1.2.0",
            code=UTDErrorCode.FEATURE_DISABLED,
        ) from error
    try:
        audio: rtc.PlatformAudio = sdk.PlatformAudio()
    except sdk.PlatformAudioError as error:
        raise _missing(f"WebRTC finds no sound device ({error})") from error
    return audio


def _missing(what: str) -> UTDStreamException:
    return UTDStreamException(
        f"{what}: plug one in, or start a sound server (pulseaudio --start); "
        "`utd-rx doctor` tells what is wrong",
        code=UTDErrorCode.NOT_FOUND,
    )
