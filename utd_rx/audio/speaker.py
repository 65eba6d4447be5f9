"""A speaker: many voices on a device, and its state to subscribe to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

from attrs import evolve

from utd_rx.audio.crossing import ChangeBox
from utd_rx.audio.device_state import SpeakerState, SpeakerStatistics
from utd_rx.audio.devices import BLOCK, AudioDevice, AudioDirection, DeviceChoice, check_block
from utd_rx.audio.levels import FLOOR_DBFS, LevelMeter
from utd_rx.audio.mixer import Mixer, Voice, check_gain
from utd_rx.audio.platform import Backend, open_side, unavailable
from utd_rx.audio.playback import PlaybackSide
from utd_rx.audio.supervisor import Supervisor
from utd_rx.audio.tap import Tap
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink, Samples
from utd_rx.models.platform import PlatformSide
from utd_rx.state import StateSubject, Store

_LEVELS_PER_STATISTICS: Final = 10


class Speaker:
    """A device that plays, swapped, muted, flushed and watched while it runs.

    `voice` gives a sink for frames; a session's participants are played by
    `utd_rx.sessions.play`. All state lives on the event loop that opened the speaker, and
    observers are called there.

    Args:
        device: Which, by `AudioDevice`, id, name or part of a name; None follows the default.
        format: Of the mix, whatever the device's own is.
        block: Seconds per callback of the device, 0.001 to 0.05.
        volume: 0 to 4, 1 for unchanged.
        backend: "platform" lets WebRTC's own device module play every remote track of the process
            while it is open: without voices, levels, volume, mute or flush, which then raise
            `FEATURE_DISABLED`, and with its own names for devices (docs/audio.md).

    Attributes:
        state: Everything below as one `SpeakerState`.
        volume: 0 to 4.
        muted: Nothing is heard; time goes on.
        device: The `AudioDevice` that plays now, None while none does.
        statistics: `SpeakerStatistics`, twice a second.
        failure: Why nothing is played, None when it is or is not meant to be.

    Raises:
        UTDStreamException: `VALIDATION`, when the volume or the block is out of its range.
    """

    def __init__(
        self,
        device: DeviceChoice = None,
        *,
        format: AudioFormat | None = None,  # noqa: A002 - the word of AudioInput.format
        block: float = BLOCK,
        volume: float = 1.0,
        backend: Backend = "portaudio",
    ) -> None:
        if backend not in ("portaudio", "platform"):
            raise ValueError(f'backend is "portaudio" or "platform", not {backend!r}')
        self._choice = device
        self.backend: Final[Backend] = backend
        self._mixer = Mixer(format or AudioFormat(), check_block(block))
        self._mixer.volume = check_gain(volume)
        self._block = block
        self._store: Store[SpeakerState, Mapping[str, Any]] = Store(
            SpeakerState(volume=volume, level=None if self._is_platform else FLOOR_DBFS),
            lambda state, changes: evolve(state, **changes),
        )
        select = self._store.select
        self.state: StateSubject[SpeakerState] = select(lambda s: s, name="state")
        self._level: StateSubject[float] = select(
            lambda s: FLOOR_DBFS if s.level is None else s.level, name="level"
        )
        self.volume: StateSubject[float] = select(lambda s: s.volume, name="volume")
        self.muted: StateSubject[bool] = select(lambda s: s.is_muted, name="muted")
        self.device: StateSubject[AudioDevice | None] = select(lambda s: s.device, name="device")
        self.statistics: StateSubject[SpeakerStatistics] = select(
            lambda s: s.statistics, name="statistics"
        )
        self.failure: StateSubject[UTDStreamException | None] = select(
            lambda s: s.failure, name="failure"
        )
        self._tap = Tap(self._mixer.format)
        self._side = PlaybackSide(self._mixer, block, self._played)
        self._supervisor: Supervisor | None = None
        self._platform: PlatformSide | None = None
        self._is_opening = False
        self._changes: ChangeBox | None = None
        self._meter = LevelMeter()
        self._levels = 0

    @property
    def format(self) -> AudioFormat:
        """The format of the mix; frames of other formats are converted."""
        return self._mixer.format

    @property
    def level(self) -> StateSubject[float]:
        """Of what was played in the last 50 ms, in dBFS."""
        self._need_frames("levels")
        return self._level

    @property
    def position(self) -> float:
        """Seconds of sound and silence that have left the device, since it was first opened.

        What was mixed less what the ring and the device hold, as PortAudio tells its latency.
        """
        self._need_frames("a position")
        played = self._mixer.position / self._mixer.format.sample_rate
        return max(0.0, played - self._side.delay)

    def voice(self, name: str, *, gain: float = 1.0) -> Voice:
        """Return a new place in the mix: a `FrameSink` with a gain, until it is closed.

        It takes frames on any thread, also while the speaker is closed.

        Args:
            name: Whose it is, for messages.
            gain: 0 to 4, 1 for unchanged.

        Raises:
            UTDStreamException: `VALIDATION`, when the gain is out of its range.
        """
        self._need_frames("voices")
        return self._mixer.add(name, gain)

    def listen(self, sink: FrameSink) -> Callable[[], None]:
        """Give what it plays to `sink`, frame by frame; call the result to stop.

        Frames are what leaves the limiter, after volume and mute, and come on the speaker's thread
        before they are heard: `AudioFrame.at` is when that will be. Makes a speaker the echo
        reference of a `Microphone`.
        """
        self._need_frames("frames")
        return self._tap.listen(sink)

    async def open(self) -> None:
        """Begin to play.

        Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` without PortAudio, `NOT_FOUND` without such a
                device, `VALIDATION` when several fit or the device refuses the format;
                `CONFLICT` when it is open or closed for good.
        """
        is_open = self._supervisor is not None or self._platform is not None or self._is_opening
        if is_open or self._store.closed:
            raise UTDStreamException(
                "the speaker is open already, or closed for good", code=UTDErrorCode.CONFLICT
            )
        if self._is_platform:
            await self._open_platform()
            return
        changes = self._changes = ChangeBox(asyncio.get_running_loop(), self._store.offer)
        self._supervisor = supervisor = Supervisor(
            self._side,
            self._choice,
            lambda device, failure: changes.post(device=device, failure=failure),
            "utd_rx.audio speaker",
        )
        try:
            await supervisor.start()
        except BaseException:
            self._supervisor = None
            changes.close()
            self._store.offer({"device": None})
            raise
        changes.flush()

    async def use(self, device: DeviceChoice) -> None:
        """Play on another device, at once when open; None follows the system's default.

        Cancelling is safe: the swap goes on.

        Raises:
            UTDStreamException: As `open`; the old device goes on then. `FEATURE_DISABLED` while the
                platform is open.
        """
        if self._is_platform and (self._platform is not None or self._is_opening):
            raise unavailable("another device while it is open", "close it and open another")
        if self._supervisor is not None:
            await self._supervisor.use(device)
        self._choice = device

    def set_volume(self, volume: float) -> None:
        """Play louder or softer, without a click.

        Raises:
            UTDStreamException: `VALIDATION`, when it is not from 0 to 4.
        """
        self._need_frames("a volume")
        self._mixer.volume = check_gain(volume)
        self._store.offer({"volume": volume})

    def mute(self) -> None:
        """Play silence; voices go on in time."""
        self._set_muted(True)

    def unmute(self) -> None:
        """Play what is there."""
        self._set_muted(False)

    def flush(self) -> None:
        """Drop what waits to be played, with a fade of 3 ms: for barge-in.

        Silent within the fade and what the device already holds, 20 ms in all with the usual block.
        Frames that come later are played.
        """
        self._need_frames("a flush")
        self._mixer.flush()
        self._side.flush()
        if self._supervisor is not None:
            self._supervisor.wake()

    async def aclose(self) -> None:
        """Close the device and complete every stream; values stay readable. Idempotent.

        Cancelling is safe: it closes all the same.
        """
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            try:
                await supervisor.aclose()
            finally:
                self._store.offer({"device": None, "failure": None, "level": FLOOR_DBFS})
        platform, self._platform = self._platform, None
        if platform is not None:
            self._store.offer({"device": None})
            await asyncio.shield(asyncio.to_thread(platform.close))
        self._store.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def _is_platform(self) -> bool:
        return self.backend == "platform"

    async def _open_platform(self) -> None:
        self._is_opening = True
        try:
            self._platform, device = await open_side(AudioDirection.OUTPUT, self._choice)
        finally:
            self._is_opening = False
        self._store.offer({"device": device})

    def _need_frames(self, what: str) -> None:
        if self._is_platform:
            raise unavailable(what)

    def _set_muted(self, muted: bool) -> None:
        self._need_frames("a mute")
        self._mixer.is_muted = muted
        self._store.offer({"is_muted": muted})

    def _played(self, samples: Samples) -> None:
        self._tap.push(samples, time.monotonic() + self._side.delay)
        level = self._meter.push(AudioFrame(samples, self.format.sample_rate))
        if level is None or self._changes is None:
            return
        self._levels += 1
        self._changes.post(level=level.rms_dbfs)
        if self._levels % _LEVELS_PER_STATISTICS == 0:
            self._changes.post(statistics=self._statistics())

    def _statistics(self) -> SpeakerStatistics:
        concealed, dropped, refused = self._mixer.counts()
        voices, supervisor = self._mixer.voices, self._supervisor
        deepest = max(voices, key=lambda voice: voice.buffer.depth, default=None)
        depth = 0.0 if deepest is None else deepest.buffer.depth / self.format.sample_rate
        return SpeakerStatistics(
            self._side.underruns,
            concealed,
            dropped,
            refused,
            lost=0 if supervisor is None else supervisor.lost,
            voices=len(voices),
            depth=depth,
            drift=0.0 if deepest is None else deepest.buffer.drift,
            delay=depth + self._side.delay,
        )
