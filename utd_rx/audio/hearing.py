"""A microphone on PortAudio, where it is alive: what happens to each frame from device to sink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from attrs import evolve

from utd_rx.audio.activity import VoiceActivity
from utd_rx.audio.capture import CaptureSide
from utd_rx.audio.levels import power_dbfs, powers
from utd_rx.audio.processing import ProcessingStage
from utd_rx.audio.supervised import LEVEL, SupervisedDevice
from utd_rx.models.audio import AudioFrame, FrameSink, Samples
from utd_rx.models.device_state import MicrophoneState, MicrophoneStatistics
from utd_rx.models.devices import DeviceKey
from utd_rx.models.faults import GuardedSink
from utd_rx.models.voice_processing import VoiceProcessing
from utd_rx.ports import living
from utd_rx.ports.audio import MicrophoneSettings, Order, SetGain, SetMuted
from utd_rx.ports.crossing import FrameBox
from utd_rx.ports.room import FramesSink


class Gain:
    """Makes frames louder or softer; it moves within a frame, never by a step, and saturates.

    It comes after processing, so that to the echo canceller the room stays as it is. `wanted`, 1
    for unchanged, may be set on any thread.
    """

    def __init__(self, wanted: float = 1.0) -> None:
        self.wanted = self._reached = wanted

    def push(self, frame: AudioFrame) -> AudioFrame:
        """Return a frame as loud as it is wanted; one thread at a time."""
        start, self._reached = self._reached, self.wanted
        if start == self._reached == 1.0:
            return frame
        ramp = np.linspace(start, self._reached, len(frame.samples), dtype=np.float32)
        loud = np.clip(np.rint(frame.samples * ramp[:, np.newaxis]), -32_768, 32_767)
        samples = loud.astype(np.int16)
        samples.flags.writeable = False
        return evolve(frame, samples=samples)


class HearingDevice(SupervisedDevice[MicrophoneState]):
    """Processes, amplifies, mutes, measures and hands on, where the card delivers."""

    silence: Mapping[str, Any] = {**SupervisedDevice.silence, "is_speaking": False}
    settings: MicrophoneSettings
    _sink: FrameSink

    def __init__(self, key: DeviceKey, settings: MicrophoneSettings) -> None:
        state = MicrophoneState(
            gain=settings.gain, is_muted=settings.is_muted, processing=settings.processing
        )
        super().__init__(key, settings, state)
        self._gain = Gain(settings.gain)
        self._is_muted = settings.is_muted
        self.side: CaptureSide = CaptureSide(settings.format, settings.block, self.take)
        nearby = settings.reference  # looked for when it is listened to
        listen = None if nearby is None else lambda sink: living.find(nearby).listen(sink)
        self.stage = ProcessingStage(listen, lambda: self.side.latency)
        self._boxes: tuple[FrameBox, ...] = ()
        self._frames = 0
        self._heard: list[tuple[Samples, bool]] = []  # since it was measured, and whether muted

    def order(self, order: Order) -> None:
        """Carry out an order; any thread."""
        match order:
            case SetGain(gain):
                self._gain.wanted = gain
                self.teller.post(gain=gain)
            case SetMuted(is_muted):
                self._is_muted = is_muted
                self.teller.post(is_muted=is_muted)
            case _:
                super().order(order)

    def hear(self, sink: FramesSink) -> Callable[[], None]:
        """Give `sink` the frames, after mute, in batches on this loop; call to stop."""
        box = FrameBox(asyncio.get_running_loop(), sink)
        self._boxes = (*self._boxes, box)

        def stop() -> None:
            box.close()
            self._boxes = tuple(other for other in self._boxes if other is not box)

        return stop

    async def process(self, processing: VoiceProcessing) -> None:
        """Process the voice like that; see `AudioPort.process`."""
        await self._ready()
        if self._stream is not None:
            await self.stage.use(processing)
        self.settings = evolve(self.settings, processing=processing)
        self.teller.post(processing=processing)
        self.teller.flush()

    def take(self, frame: AudioFrame) -> None:
        """Take the next frame of the device."""
        heard = frame = self._gain.push(self.stage.push(frame))
        is_muted = self._is_muted
        if is_muted:
            silence = np.zeros_like(frame.samples)
            silence.flags.writeable = False
            frame = evolve(frame, samples=silence)
        self._sink(frame)
        self._frames += 1
        for box in self._boxes:
            box.post(frame)
        self._heard.append((heard.samples, is_muted))
        if self._is_due(heard.duration):
            self._measure(heard.duration)

    def _measure(self, duration: float) -> None:
        """Measure what was heard since the last time: the voice before mute, the level after."""
        heard, self._heard = self._heard, []
        is_speaking, loudness = False, powers([samples for samples, _ in heard])
        for power in loudness:
            is_speaking = self._activity.push(power_dbfs(power), duration)
        last = list(zip(loudness, heard, strict=True))[-round(LEVEL / duration) :]
        let_through = [0.0 if is_muted else power for power, (_, is_muted) in last]
        level = power_dbfs(sum(let_through) / len(let_through))
        self._tell(level, is_speaking=is_speaking)

    def begin(self, sink: FrameSink) -> None:
        """Hand frames to `sink` from now on, and measure anew."""
        self._sink = GuardedSink(sink)
        self._heard, self._activity = [], VoiceActivity()

    async def _begin(self, sink: FrameSink) -> None:
        self.begin(sink)
        try:
            await self.stage.use(self.settings.processing)
            await super()._begin(sink)
        except BaseException:
            self.stage.close()
            raise

    async def _end(self) -> None:
        await super()._end()
        self.stage.close()

    def _statistics(self) -> MicrophoneStatistics:
        side, stage = self.side, self.stage
        return MicrophoneStatistics(
            self._frames, side.faults, side.skipped, self.lost,
            depth=side.depth, delay=side.latency + side.depth,
            echo_delay=stage.delay, unprocessed=stage.unprocessed,
        )  # fmt: skip
