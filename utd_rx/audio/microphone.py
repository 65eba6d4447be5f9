"""A microphone: the sound of a device as an `AudioInput`, and its state to subscribe to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, field, frozen
from attrs.validators import in_
from reactivex import Observable, abc, create
from reactivex.disposable import CompositeDisposable, Disposable

from utd_rx.audio.device_state import MicrophoneState, MicrophoneStatistics
from utd_rx.audio.devices import BLOCK, AudioDevice, AudioDirection, DeviceChoice, check_block
from utd_rx.audio.gain import Gain
from utd_rx.audio.hearing import MicrophoneStream
from utd_rx.audio.levels import FLOOR_DBFS
from utd_rx.audio.mixer import check_gain
from utd_rx.audio.platform import (
    Backend,
    PlatformMicrophone,
    check_platform,
    open_side,
    unavailable,
)
from utd_rx.audio.processing import check_processing
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
        gain: 0 to 4, 1 for unchanged; after processing, before level and `speaking`.
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
        state = MicrophoneState(processing=processing)
        if backend == "platform":
            state = evolve(state, level=None, is_speaking=None)
        self._store: Store[MicrophoneState, Mapping[str, Any]] = Store(
            state, lambda state, changes: evolve(state, **changes)
        )
        select = self._store.select
        self.state: StateSubject[MicrophoneState] = select(lambda s: s, name="state")
        self._level: StateSubject[float] = select(
            lambda s: FLOOR_DBFS if s.level is None else s.level, name="level"
        )
        self._speaking: StateSubject[bool] = select(lambda s: bool(s.is_speaking), name="speaking")
        self.gain: StateSubject[float] = select(lambda s: s.gain, name="gain")
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
        self._before = MicrophoneStatistics()
        self._stream: MicrophoneStream | PlatformMicrophone | None = None
        self._opening: asyncio.Future[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._is_muted = False
        self._gain = Gain()

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
        self._need_open()
        if self._opening is not None or self._stream is not None:
            raise UTDStreamException(
                "the microphone is open already: one stream at a time", code=UTDErrorCode.CONFLICT
            )
        opening = self._opening = asyncio.get_running_loop().create_future()
        try:
            opened = self._open_device(sink) if self.platform is None else self._open_platform()
            stream: AudioInputStream = await opened
            if self._closing is not None:
                await stream.aclose()
                self._need_open()
            return stream
        finally:
            self._opening = None
            opening.set_result(None)

    async def use(self, device: DeviceChoice) -> None:
        """Hear with another device, at once when open; None follows the system's default.

        Cancelling is safe: the swap goes on.

        Raises:
            UTDStreamException: As `open`; the old device goes on then.
        """
        await self._opened()
        if self._stream is not None:
            await self._stream.use(device)
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
        await self._opened()
        if isinstance(self._stream, MicrophoneStream):
            await self._stream.process(processing)
        self._input = evolve(self._input, processing=processing)
        self._store.offer({"processing": processing})

    def set_gain(self, gain: float) -> None:
        """Deliver louder or softer sound, without a click; what is too loud saturates.

        Raises:
            UTDStreamException: `VALIDATION`, when it is not from 0 to 4; `FEATURE_DISABLED` with
                the platform backend, `CONFLICT` after `aclose`.
        """
        self._need_frames("a gain")
        self._need_open()
        self._gain.wanted = check_gain(gain)
        self._store.offer({"gain": gain})

    def mute(self) -> None:
        """Deliver silence from the next frame on, in time.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` with the platform backend, `CONFLICT` after
                `aclose`.
        """
        self._set_muted(True)

    def unmute(self) -> None:
        """Deliver what is heard.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` with the platform backend, `CONFLICT` after
                `aclose`.
        """
        self._set_muted(False)

    async def aclose(self) -> None:
        """Close the device and complete every stream; values stay readable. Idempotent.

        Cancelling is safe: it closes all the same.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(
                self._close(), name="utd_rx.audio: close the microphone"
            )
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()  # also one that is being opened
        await self._settled()
        self._store.close()
        self._frames.close()

    async def _settled(self) -> None:
        if self._opening is not None:
            await asyncio.wait({self._opening})

    async def _opened(self) -> None:
        """Wait for an `open` that is under way, and raise unless there may be another one."""
        await self._settled()
        self._need_open()

    def _need_open(self) -> None:
        if self._closing is not None:
            raise UTDStreamException(
                "the microphone is closed for good: make another one", code=UTDErrorCode.CONFLICT
            )

    async def _open_device(self, sink: FrameSink) -> MicrophoneStream:
        self._stream = stream = MicrophoneStream(
            self._input.device,
            self._input.format,
            self._input.block,
            reference=self._reference,
            gain=self._gain,
            sink=sink,
            emit=self._frames.emit,
            is_muted=lambda: self._is_muted,
            is_observed=lambda: self._observers > 0,
            tell=self._tell,
            closed=self._closed,
        )
        try:
            await stream.start(self._input.processing)
        except BaseException:
            self._stream = None
            raise
        return stream

    async def _open_platform(self) -> PlatformMicrophone:
        side, device = await open_side(AudioDirection.INPUT, self._input.device)
        self._stream = PlatformMicrophone(side, device, self._tell, self._platform_closed)
        return self._stream

    def _platform_closed(self, stream: PlatformMicrophone) -> None:
        self._store.offer({"device": None, "failure": None, "is_muted": False})
        self._closed()

    def _closed(self) -> None:
        self._stream = None
        self._before = self._store.state.statistics

    def _tell(self, changes: Mapping[str, Any]) -> None:
        if "statistics" in changes:
            changes = {**changes, "statistics": changes["statistics"].after(self._before)}
        self._store.offer(changes)

    def _need_frames(self, what: str) -> None:
        if self.platform is not None:
            raise unavailable(what)

    def _set_muted(self, muted: bool) -> None:
        if self.platform is not None:
            raise unavailable("a mute of its own", "mute it in its room, set_microphone(False)")
        self._need_open()
        self._is_muted = muted
        self._store.offer({"is_muted": muted})
