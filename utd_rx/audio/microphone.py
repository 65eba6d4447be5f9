"""A microphone: the sound of a device as an `AudioInput`, and its state to subscribe to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from attrs import evolve, field, frozen
from attrs.validators import ge, le
from reactivex import Observable, abc, create
from reactivex.disposable import CompositeDisposable, Disposable

from utd_rx.audio.activity import VoiceActivity
from utd_rx.audio.capture import CaptureSide
from utd_rx.audio.crossing import ChangeBox, FrameBox
from utd_rx.audio.device_state import MicrophoneState, MicrophoneStatistics
from utd_rx.audio.devices import AudioDevice, DeviceChoice
from utd_rx.audio.levels import FLOOR_DBFS, LevelMeter, level_dbfs
from utd_rx.audio.supervisor import Supervisor
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.audio import AudioFormat, AudioFrame, FrameSink
from utd_rx.state import StateSubject, Store
from utd_rx.state.events import EventStream

BLOCK: Final = 0.005
"""Seconds per callback: PortAudio holds two blocks (facts/audio.md §2), and shorter ones made
no path quicker in facts/audio.md §3."""

_LEVELS_PER_STATISTICS: Final = 10


@frozen
class MicrophoneInput:
    """A microphone as a value: an `AudioInput` that may be opened in whichever process.

    Args:
        device: Which; None follows the system's default.
        format: Of the frames, whatever the device's own is.
        block: Seconds per callback of the device, 0.001 to 0.05.
    """

    device: DeviceChoice = None
    format: AudioFormat = field(factory=AudioFormat, kw_only=True)
    block: float = field(default=BLOCK, kw_only=True, validator=[ge(0.001), le(0.05)])

    async def open(self, sink: FrameSink) -> MicrophoneStream:
        """Start to deliver frames of exactly 10 ms to `sink`, on a thread of the microphone.

        Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` without PortAudio, `NOT_FOUND` without such a
                device, `VALIDATION` when several fit or the device refuses the format.
        """
        return await Microphone(self.device, format=self.format, block=self.block).open(sink)


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

    Attributes:
        state: Everything below as one `MicrophoneState`.
        level: Of the last 50 ms, in dBFS.
        speaking: Somebody speaks, also while muted: to tell who forgot.
        muted: Frames are silent.
        device: The `AudioDevice` that hears now, None while none does.
        statistics: `MicrophoneStatistics`, twice a second.
        failure: Why nothing is heard, None when it is or is not meant to be.
    """

    def __init__(
        self,
        device: DeviceChoice = None,
        *,
        format: AudioFormat | None = None,  # noqa: A002 - the word of AudioInput.format
        block: float = BLOCK,
    ) -> None:
        self._input = MicrophoneInput(device, format=format or AudioFormat(), block=block)
        self._store: Store[MicrophoneState, Mapping[str, Any]] = Store(
            MicrophoneState(), lambda state, changes: evolve(state, **changes)
        )
        select = self._store.select
        self.state: StateSubject[MicrophoneState] = select(lambda s: s, name="state")
        self.level: StateSubject[float] = select(lambda s: s.level, name="level")
        self.speaking: StateSubject[bool] = select(lambda s: s.is_speaking, name="speaking")
        self.muted: StateSubject[bool] = select(lambda s: s.is_muted, name="muted")
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
        self._is_muted = False

    def __reduce__(self) -> tuple[object, ...]:
        given = self._input
        return partial(MicrophoneInput, given.device, format=given.format, block=given.block), ()

    @property
    def format(self) -> AudioFormat:
        """The format of its frames."""
        return self._input.format

    @property
    def frames(self) -> Observable[AudioFrame]:
        """What it hears, after mute: hot, on the loop; a second behind at most, then it skips."""

        def subscribe(
            observer: abc.ObserverBase[AudioFrame], scheduler: abc.SchedulerBase | None
        ) -> abc.DisposableBase:
            self._observers += 1
            inner = self._frames.subscribe(observer, scheduler=scheduler)
            return CompositeDisposable(inner, Disposable(forget))

        def forget() -> None:
            self._observers -= 1

        return create(subscribe)

    async def open(self, sink: FrameSink) -> MicrophoneStream:
        """Start to deliver frames of exactly 10 ms to `sink`, on a thread of the microphone.

        Cancelling is safe: nothing is open then.

        Raises:
            UTDStreamException: `FEATURE_DISABLED` without PortAudio, `NOT_FOUND` without such a
                device, `VALIDATION` when several fit or the device refuses the format;
                `CONFLICT` when it is open or closed for good.
        """
        if self._supervisor is not None or self._store.closed:
            raise UTDStreamException(
                "the microphone is open already: one stream at a time", code=UTDErrorCode.CONFLICT
            )
        loop = asyncio.get_running_loop()
        changes = ChangeBox(loop, self._store.offer)
        ear = _Ear(self, sink, changes, FrameBox(loop, self._frames.emit))
        side = CaptureSide(self._input.format, self._input.block, ear.hear)
        supervisor = Supervisor(
            side,
            self._input.device,
            lambda device, failure: changes.post(device=device, failure=failure),
            "utd_rx.audio microphone",
        )
        ear.side, ear.supervisor = side, supervisor
        self._supervisor = supervisor
        try:
            await supervisor.start()
        except BaseException:
            self._supervisor = None
            raise
        changes.flush()
        return MicrophoneStream(supervisor, self)

    async def use(self, device: DeviceChoice) -> None:
        """Hear with another device, at once when open; None follows the system's default.

        Cancelling is safe: the swap goes on.

        Raises:
            UTDStreamException: As `open`; the old device goes on then.
        """
        if self._supervisor is not None:
            await self._supervisor.use(device)
        self._input = evolve(self._input, device=device)

    def mute(self) -> None:
        """Deliver silence from the next frame on, in time."""
        self._set_muted(True)

    def unmute(self) -> None:
        """Deliver what is heard."""
        self._set_muted(False)

    async def aclose(self) -> None:
        """Close the device and complete every stream; values stay readable. Idempotent."""
        supervisor = self._supervisor
        if supervisor is not None:
            await supervisor.aclose()
            self._closed(supervisor)
        self._store.close()
        self._frames.close()

    def _set_muted(self, muted: bool) -> None:
        self._is_muted = muted
        self._store.offer({"is_muted": muted})

    def _closed(self, supervisor: Supervisor) -> None:
        if self._supervisor is supervisor:
            self._supervisor = None
            self._store.offer(
                {"device": None, "failure": None, "level": FLOOR_DBFS, "is_speaking": False}
            )


class _Ear:
    """What happens to each frame, on the supervisor's thread."""

    side: CaptureSide
    supervisor: Supervisor

    def __init__(
        self, microphone: Microphone, sink: FrameSink, changes: ChangeBox, box: FrameBox
    ) -> None:
        self._microphone = microphone
        self._sink = sink
        self._changes = changes
        self._box = box
        self._meter = LevelMeter()
        self._activity = VoiceActivity()
        self._frames = 0
        self._levels = 0

    def hear(self, frame: AudioFrame) -> None:
        heard = frame
        if self._microphone._is_muted:
            silence = np.zeros_like(frame.samples)
            silence.flags.writeable = False
            frame = evolve(frame, samples=silence)
        self._sink(frame)
        self._frames += 1
        if self._microphone._observers:
            self._box.post(frame)
        is_speaking = self._activity.push(level_dbfs(heard.samples), heard.duration)
        level = self._meter.push(frame)
        if level is not None:
            self._levels += 1
            self._changes.post(level=level.rms_dbfs, is_speaking=is_speaking)
            if self._levels % _LEVELS_PER_STATISTICS == 0:
                self._changes.post(statistics=self._statistics())

    def _statistics(self) -> MicrophoneStatistics:
        side = self.side
        return MicrophoneStatistics(
            self._frames, side.overruns, side.skipped, self.supervisor.lost,
            depth=side.depth, delay=side.latency + side.depth,
        )  # fmt: skip
