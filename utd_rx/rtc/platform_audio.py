"""The audio port over WebRTC's own device module, for who needs no frames.

No sound passes Python. So a microphone has no frames: what it opens is a stream that `publisher`
makes a track of, and from that it learns the mute and how much sound came from the device, the one
thing WebRTC tells: a dead one is silent without an error (docs/audio.md, "The platform backend").
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.audio import FrameSink
from utd_rx.models.device_state import MicrophoneState, MicrophoneStatistics, SpeakerState
from utd_rx.models.devices import AudioDevice, AudioDirection, DeviceChoice, DeviceKey
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports.audio import Abilities, MicrophoneSettings, SpeakerSettings
from utd_rx.ports.living import Voice
from utd_rx.ports.local import LocalAudio, LocalDevice, LocalStream
from utd_rx.ports.threads import in_thread
from utd_rx.rtc.platform import PlatformSide, module

if TYPE_CHECKING:
    from livekit import rtc

logger: Final = logging.getLogger("utd_rx.rtc")

ABILITIES: Final = Abilities(
    "platform",
    has_frames=False,
    # Always: the options of `create_audio_source` change nothing (livekit 1.2.0).
    processing=VoiceProcessing(
        echo_cancellation=True, noise_suppression=True, gain_control=True, high_pass=True
    ),
    plays_everybody=True,
    instead="WebRTC moves the sound itself; leave out backend= for one that does",
)

WATCH: Final = 0.25
"""Seconds between looks at how much the microphone has got, about 1.4 ms each."""

SILENT_LOOKS: Final = 2
"""Looks without any sound, not even silence, after which the device counts as dead."""

STARTING_LOOKS: Final = 20
"""As many until the first sound, also after a mute: the device has to be opened, and before the
first time the track has to be negotiated."""

RESTART_LOOKS: Final = 4
"""Looks between attempts to bring a dead device back."""

STATS_TIMEOUT: Final = 2.0
"""Seconds for what takes 1.4 ms (docs/livekit.md, "Joining")."""


@cache
def port() -> LocalAudio:
    """Return the process's port; LiveKit is not loaded until a device is opened."""
    return LocalAudio(ABILITIES, PlatformMicrophone, PlatformSpeaker)


class PlatformMicrophone(LocalDevice[MicrophoneState]):
    """The module's microphone, and a watch over whether it is alive."""

    silence: Mapping[str, Any] = {"device": None, "failure": None, "is_muted": False}
    _side: PlatformSide
    _stream: PlatformStream | None

    def __init__(self, key: DeviceKey, settings: MicrophoneSettings) -> None:
        state = MicrophoneState(level=None, is_speaking=None, processing=settings.processing)
        super().__init__(key, settings, state)
        self._device: AudioDevice | None = None
        self._lost = 0
        self._is_dead = False
        self._silent, self._allowed = 0, STARTING_LOOKS

    async def watch(self, track: rtc.LocalAudioTrack) -> None:
        """Look at the published track from time to time, until cancelled."""
        before = 0.0
        while True:
            await asyncio.sleep(WATCH)
            self.mute_changed(track)
            heard = None if track.muted else await _heard(track)
            if heard is None:
                self._silent, self._allowed = 0, STARTING_LOOKS
            elif heard != before:
                before, self._silent, self._allowed = heard, 0, SILENT_LOOKS
                if self._is_dead:
                    logger.info("the platform's microphone is back")
                    self._alive(self._device)
            else:
                self._silent += 1
                over = self._silent - self._allowed
                if over >= 0 and over % RESTART_LOOKS == 0:
                    if not self._is_dead:
                        self._died()
                    with _closed(track):
                        pass

    def mute_changed(self, track: rtc.LocalAudioTrack) -> None:
        """Take note that the room muted or unmuted the track; the device is closed meanwhile."""
        if track.muted != self.teller.state.is_muted:
            self.teller.post(is_muted=track.muted)
            self.teller.flush()

    async def _begin(self, sink: FrameSink) -> None:
        self._side, device = await _open(AudioDirection.INPUT, self.settings.device)
        self._silent, self._allowed = 0, STARTING_LOOKS
        self._alive(device)

    def _make_stream(self) -> PlatformStream:
        return PlatformStream(self, self._side)

    async def _swap(self, device: DeviceChoice) -> None:
        found = await in_thread(self._side.find, device)
        track = None if self._stream is None else self._stream.track
        if self._is_over:
            raise conflict(ConflictReason.CLOSED, "the microphone is closed")
        with nullcontext() if track is None else _closed(track):
            self._side.select(found)
        self._silent, self._allowed = 0, STARTING_LOOKS
        self._alive(found)

    async def _end(self) -> None:
        if self._stream is not None:
            self._stream.detach()
        # Stopping a device may take a while, and the loop has other things to do.
        await in_thread(self._side.close)

    def _alive(self, device: AudioDevice | None) -> None:
        self._device, self._is_dead = device, False
        self.teller.post(device=device, failure=None)

    def _died(self) -> None:
        self._is_dead = True
        self._lost += 1
        name = "" if self._device is None else self._device.name
        logger.warning("the platform's microphone has died: %s", name)
        failure = UTDStreamException(
            f"{name} stopped: unplugged, or its sound server ended. It goes on when it is back; "
            "after the end of a sound server WebRTC needs a new process",
            code=UTDErrorCode.NOT_FOUND,
        )
        self.teller.post(
            device=None, failure=failure, statistics=MicrophoneStatistics(lost=self._lost)
        )


class PlatformStream(LocalStream):
    """An open microphone of the module, and what stands where a `Feeder` does for its track."""

    def __init__(self, device: PlatformMicrophone, side: PlatformSide) -> None:
        super().__init__(device)
        self.track: rtc.LocalAudioTrack | None = None  # what is published of it
        self._microphone, self._side = device, side
        self._source: rtc.PlatformAudioSource | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def source(self) -> rtc.PlatformAudioSource:
        """The native source; made at first use."""
        if self._source is None:
            self._source = self._side.make_source()
        return self._source

    def attach(self, track: rtc.LocalAudioTrack) -> None:
        """Take the track that is published now; on the room's loop."""
        if self._watcher is not None:
            self._watcher.cancel()
        self.track = track
        self._watcher = asyncio.create_task(
            self._microphone.watch(track), name="utd_rx.rtc: watch the platform's microphone"
        )

    def mute_changed(self) -> None:
        if self.track is not None:
            self._microphone.mute_changed(self.track)

    def detach(self) -> None:
        """Let go of the track and the source: LiveKit wants that before the devices."""
        if self._watcher is not None:
            self._watcher.cancel()
        source, self._source, self.track = self._source, None, None
        if source is not None:
            source.close()


class PlatformSpeaker(LocalDevice[SpeakerState]):
    """The module's speaker, a `LivingSpeaker`: while it is open, WebRTC plays every remote track of
    the process."""

    _side: PlatformSide

    def __init__(self, key: DeviceKey, settings: SpeakerSettings) -> None:
        super().__init__(key, settings, SpeakerState(level=None))

    @property
    def position(self) -> float:
        raise ABILITIES.lack("a position")

    def voice(self, name: str, *, gain: float = 1.0, margin: float | None = None) -> Voice:
        raise ABILITIES.lack("voices")

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        raise ABILITIES.lack("frames")

    async def _begin(self, sink: FrameSink) -> None:
        self._side, device = await _open(AudioDirection.OUTPUT, self.settings.device)
        self.teller.post(device=device)

    async def _swap(self, device: DeviceChoice) -> None:
        raise ABILITIES.lack("another device while it is open", "close it and open another")

    async def _end(self) -> None:
        await in_thread(self._side.close)


async def _open(
    direction: AudioDirection, choice: DeviceChoice
) -> tuple[PlatformSide, AudioDevice]:
    """Return a side of the module with the chosen device selected, and that device; when this is
    cancelled, nothing is held."""
    opening = asyncio.ensure_future(in_thread(_hold, direction, choice))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_abandon)
        raise


def _hold(direction: AudioDirection, choice: DeviceChoice) -> tuple[PlatformSide, AudioDevice]:
    side = module().hold(direction)
    try:
        device = side.find(choice)
        if choice is not None:  # what is not selected follows the system's default
            side.select(device)
    except BaseException:
        side.close()
        raise
    return side, device


def _abandon(opening: asyncio.Future[tuple[PlatformSide, AudioDevice]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()


@contextmanager
def _closed(track: rtc.LocalAudioTrack) -> Iterator[None]:
    """Close the device of a track meanwhile, unless it is muted and so is closed."""
    is_muted = track.muted
    if not is_muted:
        track.mute()  # which has closed the device when it returns
    try:
        yield
    finally:
        if not is_muted:
            track.unmute()


async def _heard(track: rtc.LocalAudioTrack) -> float | None:
    """Return the seconds of sound it has got from the device; None while nobody can tell."""
    try:
        async with asyncio.timeout(STATS_TIMEOUT):
            entries = await track.get_stats()
    except Exception:
        # LiveKit raises plain `Exception`s, and does not answer when the room has gone.
        logger.debug("no statistics of the platform's microphone", exc_info=True)
        return None
    for entry in entries:
        if entry.WhichOneof("stats") == "media_source":
            return float(entry.media_source.audio.total_samples_duration)
    return None
