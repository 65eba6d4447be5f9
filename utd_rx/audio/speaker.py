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
from utd_rx.models.devices import DeviceKey
from utd_rx.models.platform import PlatformSide
from utd_rx.ports import living
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
        key: What names it for a room that plays on it.
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
        self.key = DeviceKey("speaker")
        living.enter(self.key, self)
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
        self._opening: asyncio.Future[None] | None = None
        self._closing: asyncio.Task[None] | None = None
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
        self._need_open()
        if self._supervisor or self._platform or self._opening:
            raise UTDStreamException("the speaker is open already", code=UTDErrorCode.CONFLICT)
        opening = self._opening = asyncio.get_running_loop().create_future()
        try:
            await (self._open_platform() if self._is_platform else self._open_device())
            self._need_open()  # else `aclose` waits for this, and closes it
        finally:
            self._opening = None
            opening.set_result(None)

    async def use(self, device: DeviceChoice) -> None:
        """Play on another device, at once when open; None follows the system's default.

        Cancelling is safe: the swap goes on.

        Raises:
            UTDStreamException: As `open`; the old device goes on then. `FEATURE_DISABLED` while the
                platform is open, `CONFLICT` after `aclose`.
        """
        if self._is_platform and (self._platform is not None or self._opening is not None):
            raise unavailable("another device while it is open", "close it and open another")
        self._need_open()
        if self._supervisor is not None:
            await self._supervisor.use(device)
        self._choice = device

    def set_volume(self, volume: float) -> None:
        """Play louder or softer, without a click.

        Raises:
            UTDStreamException: `VALIDATION`, when it is not from 0 to 4; `CONFLICT` after `aclose`.
        """
        self._need_frames("a volume")
        self._need_open()
        self._mixer.volume = check_gain(volume)
        self._store.offer({"volume": volume})

    def mute(self) -> None:
        """Play silence; voices go on in time.

        Raises:
            UTDStreamException: `CONFLICT` after `aclose`.
        """
        self._set_muted(True)

    def unmute(self) -> None:
        """Play what is there.

        Raises:
            UTDStreamException: `CONFLICT` after `aclose`.
        """
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
        if self._closing is None:
            self._closing = asyncio.create_task(
                self._close(), name="utd_rx.audio: close the speaker"
            )
        await asyncio.shield(self._closing)

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

    async def _open_device(self) -> None:
        changes = self._changes = ChangeBox(asyncio.get_running_loop(), self._store.offer)

        def report(device: AudioDevice | None, failure: UTDStreamException | None) -> None:
            changes.post(device=device, failure=failure)
            if failure is not None:
                changes.post(level=FLOOR_DBFS, statistics=self._statistics())

        self._supervisor = Supervisor(self._side, self._choice, report, "utd_rx.audio speaker")
        try:
            await self._supervisor.start()
        except BaseException:
            self._supervisor = None
            changes.close()
            self._store.offer({"device": None})
            raise
        changes.flush()

    async def _open_platform(self) -> None:
        self._platform, device = await open_side(AudioDirection.OUTPUT, self._choice)
        self._store.offer({"device": device})

    async def _close(self) -> None:
        if self._supervisor is not None:
            await self._supervisor.aclose()  # also one that is still being opened
        if self._opening is not None:
            await asyncio.wait({self._opening})
        if self._supervisor is not None:
            self._supervisor = None
            self._store.offer({"device": None, "failure": None, "level": FLOOR_DBFS})
        if self._platform is not None:
            await asyncio.to_thread(self._platform.close)
            self._platform = None
            self._store.offer({"device": None})
        self._store.close()

    def _need_open(self) -> None:
        if self._closing is not None:
            raise UTDStreamException(
                "the speaker is closed for good: make another one", code=UTDErrorCode.CONFLICT
            )

    def _need_frames(self, what: str) -> None:
        if self._is_platform:
            raise unavailable(what)

    def _set_muted(self, muted: bool) -> None:
        self._need_frames("a mute")
        self._need_open()
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
