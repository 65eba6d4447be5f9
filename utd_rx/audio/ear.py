"""What happens to each frame of a microphone, from the device to whoever hears it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from attrs import evolve

from utd_rx.audio.activity import VoiceActivity
from utd_rx.audio.capture import CaptureSide
from utd_rx.audio.crossing import ChangeBox
from utd_rx.audio.device_state import MicrophoneStatistics
from utd_rx.audio.gain import Gain
from utd_rx.audio.levels import LevelMeter, level_dbfs
from utd_rx.audio.processing import ProcessingStage
from utd_rx.audio.supervisor import Supervisor
from utd_rx.models.audio import AudioFrame, FrameSink
from utd_rx.models.guarded_sink import GuardedSink
from utd_rx.ports.crossing import FrameBox

_LEVELS_PER_STATISTICS: Final = 10


class Ear:
    """Processes, amplifies, mutes, measures and hands on, on the supervisor's thread.

    Args:
        sink: Takes the frames.
        gain: The microphone's.
        changes: Takes level, activity and statistics.
        box: Takes the frames for observers.
        is_muted: Whether frames are to be silent.
        is_observed: Whether there are observers.

    Attributes:
        side, stage, supervisor: Set before the first frame.
    """

    side: CaptureSide
    stage: ProcessingStage
    supervisor: Supervisor

    def __init__(
        self,
        sink: FrameSink,
        gain: Gain,
        changes: ChangeBox,
        box: FrameBox,
        is_muted: Callable[[], bool],
        is_observed: Callable[[], bool],
    ) -> None:
        self._sink = GuardedSink(sink)
        self._gain = gain
        self._changes = changes
        self._box = box
        self._is_muted = is_muted
        self._is_observed = is_observed
        self._meter = LevelMeter()
        self._activity = VoiceActivity()
        self._frames = 0
        self._levels = 0

    def hear(self, frame: AudioFrame) -> None:
        """Take the next frame of the device."""
        heard = frame = self._gain.push(self.stage.push(frame))
        if self._is_muted():
            silence = np.zeros_like(frame.samples)
            silence.flags.writeable = False
            frame = evolve(frame, samples=silence)
        self._sink(frame)
        self._frames += 1
        if self._is_observed():
            self._box.post(frame)
        is_speaking = self._activity.push(level_dbfs(heard.samples), heard.duration)
        level = self._meter.push(frame)
        if level is not None:
            self._levels += 1
            self._changes.post(level=level.rms_dbfs, is_speaking=is_speaking)
            if self._levels % _LEVELS_PER_STATISTICS == 0:
                self._changes.post(statistics=self.statistics())

    def statistics(self) -> MicrophoneStatistics:
        """Return the counts of this opening."""
        side, stage = self.side, self.stage
        return MicrophoneStatistics(
            self._frames, side.overruns, side.skipped, self.supervisor.lost,
            depth=side.depth, delay=side.latency + side.depth,
            echo_delay=stage.delay, unprocessed=stage.unprocessed,
        )  # fmt: skip
