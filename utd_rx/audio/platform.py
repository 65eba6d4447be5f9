"""A microphone and a speaker by WebRTC's own device module, for who needs no frames.

The module is behind a port (`utd_rx.models.platform`): devices here, sound nowhere in Python.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias

from utd_rx.audio.device_state import MicrophoneStatistics
from utd_rx.audio.devices import AudioDevice, AudioDirection, DeviceChoice, choose_device
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.platform import (
    PlatformDevice,
    PlatformDirection,
    PlatformSide,
    PlatformTrack,
)
from utd_rx.models.voice_processing import VoiceProcessing

logger: Final = logging.getLogger("utd_rx.audio")

Backend: TypeAlias = Literal["portaudio", "platform"]
"""Who moves the sound: this package with frames, or WebRTC without."""

ADAPTER: Final = "utd_rx.rtc.platform"
"""Where the port is served, by name; see `utd_rx.audio.processing.ADAPTER`."""

PROCESSING: Final = VoiceProcessing(
    echo_cancellation=True, noise_suppression=True, gain_control=True, high_pass=True
)
"""What the module does to a voice, always: livekit 1.2.0 ignores options to the contrary."""

WATCH: Final = 0.25
"""Seconds between looks at how much the microphone has got, about 1.4 ms each."""

SILENT_LOOKS: Final = 2
"""Looks without any sound, not even silence, after which the device counts as dead."""

STARTING_LOOKS: Final = 20
"""As many until the first sound, also after a mute: the device has to be opened, and before the
first time the track has to be negotiated."""

RESTART_LOOKS: Final = 4
"""Looks between attempts to bring a dead device back."""

_CHANNELS: Final = {AudioDirection.INPUT: 1, AudioDirection.OUTPUT: 2}
"""As many as WebRTC asks a device for; what it has is not told."""


def unavailable(what: str, instead: str = "") -> UTDStreamException:
    """Return the error that says that this backend has no such thing, and what has it."""
    instead = instead or "leave out backend= for one that does"
    return UTDStreamException(
        f'backend="platform" does not give {what}, as WebRTC moves the sound itself: {instead}',
        code=UTDErrorCode.FEATURE_DISABLED,
    )


def check_platform(processing: VoiceProcessing | None) -> VoiceProcessing:
    """Return what the module does to a voice.

    Raises:
        UTDStreamException: `VALIDATION`, when something else is asked for.
    """
    if processing not in (None, PROCESSING):
        raise UTDStreamException(
            'backend="platform" always cancels echoes, suppresses noise, controls the gain and '
            "filters: leave out processing=, or leave out backend= to choose",
            code=UTDErrorCode.VALIDATION,
        )
    return PROCESSING


def hold(direction: PlatformDirection) -> PlatformSide:
    """Return a side of the process's module; blocks for 0.1 s, or 0.3 s with LiveKit to load.

    Raises:
        UTDStreamException: `CONFLICT` when it is held already, `NOT_FOUND` when there is no such
            device, `FEATURE_DISABLED` when LiveKit's native library does not load.
    """
    side: PlatformSide = import_module(ADAPTER).hold(direction)
    return side


async def open_side(
    direction: AudioDirection, choice: DeviceChoice
) -> tuple[PlatformSide, AudioDevice]:
    """Return a side of the module with the chosen device selected, and that device.

    Cancelling is safe: nothing is held then.

    Raises:
        UTDStreamException: As `hold`, and as `choose_device`.
    """
    opening = asyncio.ensure_future(asyncio.to_thread(_open, direction, choice))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_abandon)
        raise


def _open(direction: AudioDirection, choice: DeviceChoice) -> tuple[PlatformSide, AudioDevice]:
    side = hold(PlatformDirection(direction.value))
    try:
        device, chosen = find(side, direction, choice)
        if choice is not None:  # what is not selected follows the system's default
            side.select(chosen)
    except BaseException:
        side.close()
        raise
    return side, device


def find(
    side: PlatformSide, direction: AudioDirection, choice: DeviceChoice
) -> tuple[AudioDevice, PlatformDevice]:
    """Return the chosen device, as the app and as WebRTC knows it; blocks for some milliseconds.

    Raises:
        UTDStreamException: As `choose_device`.
    """
    there = side.devices()
    devices = [
        AudioDevice(entry.id, entry.name, direction, _CHANNELS[direction], 48_000, number == 0)
        for number, entry in enumerate(there)
    ]
    device = choose_device(devices, choice, direction)
    return device, there[devices.index(device)]


def _abandon(opening: asyncio.Future[tuple[PlatformSide, AudioDevice]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()


class PlatformMicrophone:
    """An open microphone of the module: a `PlatformStream`, which has no end.

    It watches how much sound the track gets from the device, the one thing WebRTC tells: a device
    that dies is silent without an error (facts/audio.md §1).

    Args:
        side: Held until it is closed.
        device: Which.
        offer: Takes changes of the microphone's state, on the loop.
        closed: Called when it is closed.
    """

    def __init__(
        self,
        side: PlatformSide,
        device: AudioDevice,
        offer: Callable[[Mapping[str, Any]], object],
        closed: Callable[[PlatformMicrophone], None],
    ) -> None:
        self._side = side
        self._device = device
        self._offer = offer
        self._on_close = closed
        self._ended = asyncio.Event()
        self._track: PlatformTrack | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._lost = 0
        self._is_dead = False
        self._silent, self._allowed = 0, STARTING_LOOKS
        offer({"device": device, "failure": None})

    def attach(self, track: PlatformTrack) -> None:
        """Take the track that is published now."""
        self._track = track
        self._watcher = asyncio.create_task(
            self._watch(track), name="utd_rx.audio: watch the platform's microphone"
        )

    def mute_changed(self) -> None:
        """Take note that the room muted or unmuted the track."""
        if self._track is not None and self._closing is None:
            self._offer({"is_muted": self._track.is_muted})

    async def use(self, choice: DeviceChoice) -> None:
        """Hear with another device; the track is muted for that moment.

        Cancelling is safe: the old device goes on, or the new one is on already.

        Raises:
            UTDStreamException: As `choose_device`; the old device goes on then.
        """
        device, chosen = await asyncio.to_thread(find, self._side, AudioDirection.INPUT, choice)
        if self._closing is not None:
            raise UTDStreamException("the microphone is closed", code=UTDErrorCode.CONFLICT)
        if self._track is None:
            self._side.select(chosen)
        else:
            self._track.restart(lambda: self._side.select(chosen))
        self._device, self._is_dead = device, False
        self._silent, self._allowed = 0, STARTING_LOOKS
        self._offer({"device": device, "failure": None})

    async def wait_ended(self) -> None:
        """Wait until it is closed. Cancelling is safe."""
        await self._ended.wait()

    async def aclose(self) -> None:
        """Let go of the device. Idempotent; cancelling is safe, it closes all the same."""
        if self._closing is None:
            self._closing = asyncio.create_task(
                self._close(), name="utd_rx.audio: close the platform's microphone"
            )
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        # Stopping a device may take a while, and the loop has other things to do.
        await asyncio.to_thread(self._side.close)
        self._on_close(self)
        self._ended.set()

    async def _watch(self, track: PlatformTrack) -> None:
        before = 0.0
        while True:
            await asyncio.sleep(WATCH)
            self.mute_changed()
            heard = None if track.is_muted else await track.heard()
            if heard is None:
                self._silent, self._allowed = 0, STARTING_LOOKS
            elif heard != before:
                before, self._silent, self._allowed = heard, 0, SILENT_LOOKS
                if self._is_dead:
                    self._is_dead = False
                    self._offer({"device": self._device, "failure": None})
                    logger.info("the platform's microphone is back")
            else:
                self._silent += 1
                over = self._silent - self._allowed
                if over >= 0 and over % RESTART_LOOKS == 0:
                    if not self._is_dead:
                        self._died()
                    track.restart()

    def _died(self) -> None:
        self._is_dead = True
        self._lost += 1
        logger.warning("the platform's microphone has died: %s", self._device.name)
        failure = UTDStreamException(
            f"{self._device.name} stopped: unplugged, or its sound server ended. It goes on when "
            "it is back; after the end of a sound server WebRTC needs a new process",
            code=UTDErrorCode.NOT_FOUND,
        )
        self._offer(
            {
                "device": None,
                "failure": failure,
                "statistics": MicrophoneStatistics(lost=self._lost),
            }
        )
