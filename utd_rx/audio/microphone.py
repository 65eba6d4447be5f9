"""A microphone: the sound of a device as an `AudioInput`, and its state to subscribe to."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, get_args

from attrs import evolve, field, frozen
from reactivex import Observable, abc, create
from reactivex.disposable import CompositeDisposable, Disposable

from utd_rx.audio.handle import Backend, BackendName, DeviceHandle, placed_port, port_of
from utd_rx.audio.processing import check_processing
from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.audio import AudioFormat, AudioFrame, AudioInput, AudioInputStream, FrameSink
from utd_rx.models.checks import typed
from utd_rx.models.device_state import MicrophoneState, MicrophoneStatistics
from utd_rx.models.devices import DeviceChoice, DeviceKey
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.ports.audio import MICROPHONE_BLOCK, Abilities, MicrophoneSettings, SetGain, check_block
from utd_rx.state import StateSubject
from utd_rx.state.events import EventStream
from utd_rx.state.piping import piped


def _to_name(backend: BackendName) -> BackendName:
    if backend not in (names := get_args(BackendName)):
        raise invalid(f"backend is one of {', '.join(names)}, not {backend!r}")
    return backend


@frozen(field_transformer=typed)
class MicrophoneInput:
    """A microphone as a value: an `AudioInput` that may be opened in whichever process.

    Args:
        device: Which; None follows the system's default.
        format: Of the frames, whatever the device's own is.
        block: Seconds per callback of the device, 0.001 to 0.05.
        processing: Of the voice. A value knows no speaker, so it cannot cancel an echo.
        backend: As that of `Microphone`, by its name.
    """

    device: DeviceChoice = None
    format: AudioFormat = field(factory=AudioFormat, kw_only=True)
    block: float = field(default=MICROPHONE_BLOCK, kw_only=True, converter=check_block)
    processing: VoiceProcessing = field(factory=VoiceProcessing, kw_only=True)
    backend: BackendName = field(default="portaudio", kw_only=True, converter=_to_name)

    @property
    def abilities(self) -> Abilities:
        """What its backend can do."""
        return port_of(self.backend).abilities

    async def open(self, sink: FrameSink) -> AudioInputStream:
        """Start to deliver frames of exactly 10 ms to `sink`, in the card's real-time callback.

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
            processing=None if self.abilities.processing else self.processing,
            backend=self.backend,
        )
        return await microphone.open(sink)


class Microphone(DeviceHandle[MicrophoneState]):
    """A device that hears, swapped, muted and watched while it runs.

    It is an `AudioInput`: hand it to a session, or `open` it yourself; one stream at a time, any
    number after each other. All state lives on the event loop that opened it, and observers are
    called there. Pickled it stays the same microphone in this process, state, gain, mute and
    reference. In another one it is the `MicrophoneInput` that describes it; where that could not
    say all, as it is muted, has a gain, a reference or a port as its backend, loading it raises
    `NOT_FOUND`.

    Args:
        device: Which, by `AudioDevice`, id, name or part of a name; None follows the default.
        format: Of the frames, whatever the device's own is.
        block: Seconds per callback of the device, 0.001 to 0.05.
        processing: Of the voice; None for none.
        reference: What plays nearby, mostly a `Speaker`: needed to cancel its echo.
        backend: The platform's lets WebRTC's own device module move the sound: nothing of it
            passes Python, so there are no frames and no levels. It always processes the voice, has
            its own names for devices, is muted by its room, and plays all remote tracks while it is
            open (docs/audio.md). For tests it may be a port, such as
            `utd_rx.testing.audio.FakeAudio`.
        media: Where it lives: `"inline"` in the app's process, `"process"` in one of its own,
            which a busy app does not disturb, `"auto"` in that where it can; None as the
            environment's `UTD_RX_MEDIA` says, or `"auto"` (docs/audio.md, "The media process").

    Attributes:
        key: Names it across ports.
        abilities: What its backend can do.
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

    statistics: StateSubject[MicrophoneStatistics]

    def __init__(
        self,
        device: DeviceChoice = None,
        *,
        format: AudioFormat | None = None,  # noqa: A002 - the word of AudioInput.format
        block: float = MICROPHONE_BLOCK,
        processing: VoiceProcessing | None = None,
        reference: living.LivingReference | None = None,
        backend: Backend = "portaudio",
        media: Literal["inline", "process", "auto"] | None = None,
    ) -> None:
        port = placed_port(backend, media)
        self._is_named = isinstance(backend, str)
        processing = check_processing(processing, reference is not None, port.abilities)
        self._reference = reference  # alive for as long as this is
        if reference is not None and not callable(getattr(reference, "listen", None)):
            raise invalid(f"reference is what plays nearby, mostly a Speaker, not {reference!r}")
        nearby = getattr(reference, "key", None)
        if reference is not None and not isinstance(nearby, DeviceKey):
            nearby = DeviceKey("speaker")
            living.enter(nearby, reference)
        settings = MicrophoneSettings(
            device=device,
            format=format or AudioFormat(),
            block=block,
            processing=processing,
            reference=nearby,
        )
        state, owned = MicrophoneState(processing=processing), ["gain", "processing", "is_muted"]
        if not port.abilities.has_frames:
            state, owned = evolve(state, level=None, is_speaking=None), ["gain", "processing"]
        super().__init__("microphone", settings, state, port, owned)
        select = self._store.select
        self._speaking: StateSubject[bool] = select(lambda s: bool(s.is_speaking), name="speaking")
        self.gain: StateSubject[float] = select(lambda s: s.gain, name="gain")
        self.processing: StateSubject[VoiceProcessing] = select(
            lambda s: s.processing, name="processing"
        )
        self._frames: EventStream[AudioFrame] = EventStream()
        self._observers = 0
        self._stop_hearing: Callable[[], None] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        with suppress(UTDStreamException):  # no loop here: whoever opens it is told
            if self._loop is None:
                self._attach()
        settings = self._settings
        lost = (
            (settings.is_muted, "mute"),
            (settings.gain != 1.0, "gain"),
            (settings.reference is not None, "reference"),
            (not self._is_named, "port"),
        )
        more = tuple(what for is_so, what in lost if is_so)
        return _revive, (self.key, self.abilities.backend, settings, os.getpid(), more)

    @property
    def speaking(self) -> StateSubject[bool]:
        """Somebody speaks, also while muted; `FEATURE_DISABLED` with the platform backend."""
        self._need_frames("voice activity")
        return self._speaking

    @property
    def frames(self) -> Observable[AudioFrame]:
        """What it hears, after mute: hot, on the loop; a second behind at most, then it skips.

        `FEATURE_DISABLED` with the platform backend.
        """
        self._need_frames("frames")

        def subscribe(
            observer: abc.ObserverBase[AudioFrame], scheduler: abc.SchedulerBase | None
        ) -> abc.DisposableBase:
            self._count(1)
            inner = self._frames.subscribe(observer, scheduler=scheduler)
            return CompositeDisposable(inner, Disposable(lambda: self._count(-1)))

        heard: Observable[AudioFrame] = piped(create(subscribe))
        return heard

    async def open(self, sink: FrameSink) -> AudioInputStream:
        """Start to deliver frames of exactly 10 ms to `sink`, in the card's real-time callback.

        With the platform backend only the device is taken, the sink is never called, and sound
        flows when a room publishes it. Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` without PortAudio, `NOT_FOUND` without such a
                device, or when it is alive in another process; `VALIDATION` when several fit or
                the device refuses the format; `CONFLICT` when it is open or closed for good, or
                another one holds the platform.
        """
        self._need_open()
        self._attach()
        there: AudioInput = living.find(self.key)
        return await there.open(sink)

    async def set_processing(self, processing: VoiceProcessing) -> None:
        """Process the voice like that, from the next frame on when open.

        The processing begins anew, so an echo is heard until it is learnt again. Cancelling is
        safe: the old one goes on, or the new one is on already.

        Raises:
            UTDStreamException: `VALIDATION`, when an echo is to be cancelled without a reference;
                `FEATURE_DISABLED`, when LiveKit's native library does not load; `CONFLICT`, when a
                later call or the end overtook this one. The old processing goes on then.
        """
        check_processing(processing, self._reference is not None, self.abilities)
        self._need_open()
        await self._port.process(self.key, processing)
        self._keep(processing=processing)

    def set_gain(self, gain: float) -> None:
        """Deliver louder or softer sound, without a click; what is too loud saturates.

        Raises:
            UTDStreamException: `VALIDATION`, when it is not from 0 to 4; `FEATURE_DISABLED` with
                the platform backend, `CONFLICT` after `aclose`.
        """
        self._need_frames("a gain")
        order = SetGain(gain)
        self._wish(order, gain=order.gain)

    async def _close(self) -> None:
        await super()._close()
        self._frames.close()

    def _attach(self) -> None:
        super()._attach()
        self._look()

    def _detach(self) -> None:
        super()._detach()
        self._look()

    def _count(self, change: int) -> None:
        self._observers += change
        loop = self._loop
        with suppress(RuntimeError):  # the loop is closed: there is nothing to hear any more
            if loop is not None:
                loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        """Have frames told while somebody looks at them; on the loop."""
        is_wanted = self._observers > 0 and self._loop is not None
        if is_wanted and self._stop_hearing is None:
            self._stop_hearing = self._port.hear(self.key, self._heard)
        elif not is_wanted and self._stop_hearing is not None:
            stop, self._stop_hearing = self._stop_hearing, None
            stop()

    def _heard(self, frames: tuple[AudioFrame, ...]) -> None:
        for frame in frames:
            self._frames.emit(frame)


def _revive(
    key: DeviceKey, backend: Any, settings: MicrophoneSettings, home: int, more: tuple[str, ...]
) -> Any:
    """Return what was pickled: itself where it is alive, what describes it elsewhere if it can."""
    with suppress(UTDStreamException):
        return living.find(key)
    if more:
        raise UTDStreamException(
            f"no {key.kind} {key.id} is alive in this process: it lives in process {home}, and a "
            f"MicrophoneInput cannot say its {', '.join(more)}",
            code=UTDErrorCode.NOT_FOUND,
        )
    return MicrophoneInput(
        settings.device,
        format=settings.format,
        block=settings.block,
        processing=settings.processing,
        backend=backend,
    )
