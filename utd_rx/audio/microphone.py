"""A microphone: the sound of a device as an `AudioInput`, and its state to subscribe to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, field, frozen
from attrs.validators import in_
from reactivex import Observable, abc, create
from reactivex.disposable import CompositeDisposable, Disposable

from utd_rx.audio.capture import CaptureSide
from utd_rx.audio.crossing import ChangeBox, FrameBox
from utd_rx.audio.device_state import MicrophoneState, MicrophoneStatistics
from utd_rx.audio.devices import BLOCK, AudioDevice, AudioDirection, DeviceChoice, check_block
from utd_rx.audio.ear import Ear
from utd_rx.audio.levels import FLOOR_DBFS
from utd_rx.audio.platform import (
    Backend,
    PlatformMicrophone,
    check_platform,
    open_side,
    unavailable,
)
from utd_rx.audio.processing import ProcessingStage, check_processing
from utd_rx.audio.supervisor import Supervisor
from utd_rx.audio.tap import EchoReference
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInputStream, FrameSink
from utd_rx.models.platform import PlatformInput
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.state import StateSubject, Store
from utd_rx.state.events import EventStream
from utd_rx.state.piping import piped

_PLATFORM: Final = PlatformInput()


@frozen
class MicrophoneInput:
    """A microphone as a value: an `AudioInput` that may be opened in whichever process.

    Args:
        device: Which; None follows the system's default.
        format: Of the frames, whatever the device's own is.
        block: Seconds per callback of the device, 0.001 to 0.05.
        processing: Of the voice. A value knows no speaker, so it cannot cancel an echo.
        backend: As that of `Microphone`.
    """

    device: DeviceChoice = None
    format: AudioFormat = field(factory=AudioFormat, kw_only=True)
    block: float = field(default=BLOCK, kw_only=True, converter=check_block)
    processing: VoiceProcessing = field(factory=VoiceProcessing, kw_only=True)
    backend: Backend = field(
        default="portaudio", kw_only=True, validator=in_(("portaudio", "platform"))
    )

    @property
    def platform(self) -> PlatformInput | None:
        """What a room takes it for, where WebRTC moves the sound; see `models.platform`."""
        return _PLATFORM if self.backend == "platform" else None

    async def open(self, sink: FrameSink) -> AudioInputStream:
        """Start to deliver frames of exactly 10 ms to `sink`, on a thread of the microphone.

        Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` without PortAudio, `NOT_FOUND` without such a
                device, `VALIDATION` when several fit, the device refuses the format, or an echo is
                to be cancelled.
        """
        microphone = Microphone(
            self.device,
            format=self.format,
            block=self.block,
            processing=None if self.platform else self.processing,
            backend=self.backend,
        )
        return await microphone.open(sink)


class MicrophoneStream:
    """An open microphone: an `AudioInputStream`. It has no end: a lost device is waited for."""

    def __init__(self, supervisor: Supervisor, microphone: Microphone) -> None:
        self._supervisor = supervisor
        self._microphone = microphone
        self._ended = asyncio.Event()

    async def wait_ended(self) -> None:
        """Wait until it is closed. Cancelling is safe."""
        await self._ended.wait()

    async def aclose(self) -> None:
        """Close the device; after it returns the sink is not called any more. Idempotent.

        Cancelling is safe: it closes all the same.
        """
        await self._supervisor.aclose()
        self._microphone._closed(self._supervisor)
        self._ended.set()


class Microphone:
    """A device that hears, swapped, muted and watched while it runs.

    It is an `AudioInput`: hand it to a session, or `open` it yourself; one stream at a time, any
    number after each other. All state lives on the event loop that opened it, and observers are
    called there. Pickled, it is the `MicrophoneInput` that describes it: the state stays here.

    Args:
        device: Which, by `AudioDevice`, id, name or part of a name; None follows the default.
        format: Of the frames, whatever the device's own is.
        block: Seconds per callback of the device, 0.001 to 0.05.
        processing: Of the voice; None for none.
        reference: What plays nearby, mostly a `Speaker`: needed to cancel its echo.
        backend: "platform" lets WebRTC's own device module move the sound: nothing of it passes
            Python, so there are no frames and no levels. It always processes the voice, has its
            own names for devices, is muted by its room, and plays all remote tracks while it is
            open (docs/audio.md).

    Attributes:
        state: Everything below as one `MicrophoneState`.
        muted: Frames are silent; with the platform, the room has muted the track.
        processing: The `VoiceProcessing` that is on.
        device: The `AudioDevice` that hears now, None while none does.
        statistics: `MicrophoneStatistics`, twice a second; only `lost` with the platform.
        failure: Why nothing is heard, None when it is or is not meant to be.

    Raises:
        UTDStreamException: `VALIDATION`, when an echo is to be cancelled without a reference, or
            the platform is to process otherwise than it does.
    """

    def __init__(
        self,
        device: DeviceChoice = None,
        *,
        format: AudioFormat | None = None,  # noqa: A002 - the word of AudioInput.format
        block: float = BLOCK,
        processing: VoiceProcessing | None = None,
        reference: EchoReference | None = None,
        backend: Backend = "portaudio",
    ) -> None:
        if backend == "platform":
            processing = check_platform(processing)
        else:
            processing = check_processing(processing or VoiceProcessing(), reference)
        self._input = MicrophoneInput(
            device,
            format=format or AudioFormat(),
            block=block,
            processing=processing,
            backend=backend,
        )
        self._reference = reference
        self._stage: ProcessingStage | None = None
        self._store: Store[MicrophoneState, Mapping[str, Any]] = Store(
            self._untold(MicrophoneState(processing=processing)),
            lambda state, changes: evolve(state, **changes),
        )
        select = self._store.select
        self.state: StateSubject[MicrophoneState] = select(lambda s: s, name="state")
        self._level: StateSubject[float] = select(
            lambda s: FLOOR_DBFS if s.level is None else s.level, name="level"
        )
        self._speaking: StateSubject[bool] = select(lambda s: bool(s.is_speaking), name="speaking")
        self.muted: StateSubject[bool] = select(lambda s: s.is_muted, name="muted")
        self.processing: StateSubject[VoiceProcessing] = select(
            lambda s: s.processing, name="processing"
        )
        self.device: StateSubject[AudioDevice | None] = select(lambda s: s.device, name="device")
        self.statistics: StateSubject[MicrophoneStatistics] = select(
            lambda s: s.statistics, name="statistics"
        )
        self.failure: StateSubject[UTDStreamException | None] = select(
            lambda s: s.failure, name="failure"
        )
        self._frames: EventStream[AudioFrame] = EventStream()
        self._observers = 0
        self._supervisor: Supervisor | None = None
        self._stream: PlatformMicrophone | None = None
        self._is_opening = False
        self._is_muted = False

    def __reduce__(self) -> tuple[object, ...]:
        return evolve, (self._input,)

    @property
    def format(self) -> AudioFormat:
        """The format of its frames."""
        return self._input.format

    @property
    def platform(self) -> PlatformInput | None:
        """What a room takes it for, where WebRTC moves the sound; see `models.platform`."""
        return self._input.platform

    @property
    def level(self) -> StateSubject[float]:
        """Of the last 50 ms, in dBFS.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` with the platform backend.
        """
        self._need_frames("levels")
        return self._level

    @property
    def speaking(self) -> StateSubject[bool]:
        """Somebody speaks, also while muted: to tell who forgot.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` with the platform backend.
        """
        self._need_frames("voice activity")
        return self._speaking

    @property
    def frames(self) -> Observable[AudioFrame]:
        """What it hears, after mute: hot, on the loop; a second behind at most, then it skips.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` with the platform backend.
        """
        self._need_frames("frames")

        def subscribe(
            observer: abc.ObserverBase[AudioFrame], scheduler: abc.SchedulerBase | None
        ) -> abc.DisposableBase:
            self._observers += 1
            inner = self._frames.subscribe(observer, scheduler=scheduler)
            return CompositeDisposable(inner, Disposable(forget))

        def forget() -> None:
            self._observers -= 1

        heard: Observable[AudioFrame] = piped(create(subscribe))
        return heard

    async def open(self, sink: FrameSink) -> AudioInputStream:
        """Start to deliver frames of exactly 10 ms to `sink`, on a thread of the microphone.

        With the platform backend only the device is taken, the sink is never called, and sound
        flows when a room publishes it. Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` without PortAudio, `NOT_FOUND` without such a
                device, `VALIDATION` when several fit or the device refuses the format;
                `CONFLICT` when it is open or closed for good, or another one holds the platform.
        """
        if self._is_open or self._store.closed:
            raise UTDStreamException(
                "the microphone is open already: one stream at a time", code=UTDErrorCode.CONFLICT
            )
        if self.platform is not None:
            return await self._open_platform()
        loop = asyncio.get_running_loop()
        changes = ChangeBox(loop, self._store.offer)
        ear = Ear(
            sink,
            changes,
            FrameBox(loop, self._frames.emit),
            lambda: self._is_muted,
            lambda: self._observers > 0,
        )
        side = CaptureSide(self._input.format, self._input.block, ear.hear)
        ear.stage = stage = ProcessingStage(self._reference, lambda: side.latency)
        supervisor = Supervisor(
            side,
            self._input.device,
            lambda device, failure: changes.post(device=device, failure=failure),
            "utd_rx.audio microphone",
        )
        ear.side, ear.supervisor = side, supervisor
        self._supervisor, self._stage = supervisor, stage
        try:
            await stage.use(self._input.processing)
            await supervisor.start()
        except BaseException:
            stage.close()
            self._supervisor = self._stage = None
            changes.close()
            self._store.offer({"device": None})
            raise
        changes.flush()
        return MicrophoneStream(supervisor, self)

    async def use(self, device: DeviceChoice) -> None:
        """Hear with another device, at once when open; None follows the system's default.

        Cancelling is safe: the swap goes on.

        Raises:
            UTDStreamException: As `open`; the old device goes on then.
        """
        if self._stream is not None:
            await self._stream.use(device)
        if self._supervisor is not None:
            await self._supervisor.use(device)
        self._input = evolve(self._input, device=device)

    async def set_processing(self, processing: VoiceProcessing) -> None:
        """Process the voice like that, from the next frame on when open.

        The processing begins anew, so an echo is heard until it is learnt again. Cancelling is
        safe: the old one goes on, or the new one is on already.

        Raises:
            UTDStreamException: `VALIDATION`, when an echo is to be cancelled without a reference;
                `FEATURE_DISABLED`, when LiveKit's native library does not load; `CONFLICT`, when a
                later call or the end overtook this one. The old processing goes on then.
        """
        if self.platform is not None:
            check_platform(processing)
            return
        check_processing(processing, self._reference)
        if self._stage is not None:
            await self._stage.use(processing)
        self._input = evolve(self._input, processing=processing)
        self._store.offer({"processing": processing})

    def mute(self) -> None:
        """Deliver silence from the next frame on, in time.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` with the platform backend.
        """
        self._set_muted(True)

    def unmute(self) -> None:
        """Deliver what is heard.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` with the platform backend.
        """
        self._set_muted(False)

    async def aclose(self) -> None:
        """Close the device and complete every stream; values stay readable. Idempotent."""
        supervisor = self._supervisor
        if supervisor is not None:
            await supervisor.aclose()
            self._closed(supervisor)
        if self._stream is not None:
            await self._stream.aclose()
        self._store.close()
        self._frames.close()

    def _untold(self, state: MicrophoneState) -> MicrophoneState:
        return state if self.platform is None else evolve(state, level=None, is_speaking=None)

    @property
    def _is_open(self) -> bool:
        return self._supervisor is not None or self._stream is not None or self._is_opening

    async def _open_platform(self) -> PlatformMicrophone:
        self._is_opening = True
        try:
            side, device = await open_side(AudioDirection.INPUT, self._input.device)
        finally:
            self._is_opening = False
        self._stream = PlatformMicrophone(side, device, self._store.offer, self._platform_closed)
        return self._stream

    def _platform_closed(self, stream: PlatformMicrophone) -> None:
        if self._stream is stream:
            self._stream = None
            self._store.offer({"device": None, "failure": None, "is_muted": False})

    def _need_frames(self, what: str) -> None:
        if self.platform is not None:
            raise unavailable(what)

    def _set_muted(self, muted: bool) -> None:
        if self.platform is not None:
            raise unavailable("a mute of its own", "mute it in its room, set_microphone(False)")
        self._is_muted = muted
        self._store.offer({"is_muted": muted})

    def _closed(self, supervisor: Supervisor) -> None:
        if self._supervisor is supervisor:
            if self._stage is not None:
                self._stage.close()
            self._supervisor = self._stage = None
            self._store.offer(
                {"device": None, "failure": None, "level": FLOOR_DBFS, "is_speaking": False}
            )
