"""A microphone's gain: after processing, so that to the echo canceller the room stays as it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from attrs import evolve

from utd_rx.audio.processing import ProcessingStage
from utd_rx.audio.tap import EchoReference
from utd_rx.models.audio import AudioFrame


class Gain:
    """Makes frames louder or softer; it moves within a frame, never by a step, and saturates.

    Attributes:
        wanted: 1 for unchanged; set it on any thread.
    """

    def __init__(self) -> None:
        self.wanted = self._reached = 1.0

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


class AmplifiedStage(ProcessingStage):
    """Voice processing, and the gain that comes after it.

    Args:
        gain: Of the microphone, over all its openings.
        reference: What plays nearby, None for nothing.
        latency: Seconds between the air and the callback, as the device tells it now.
    """

    def __init__(
        self, gain: Gain, reference: EchoReference | None, latency: Callable[[], float]
    ) -> None:
        super().__init__(reference, latency)
        self._gain = gain

    def push(self, frame: AudioFrame) -> AudioFrame:
        """Return a frame as it should sound; on the microphone's thread, never raises."""
        return self._gain.push(super().push(frame))
