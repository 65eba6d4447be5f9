"""A microphone's gain: after processing, so that to the echo canceller the room stays as it is."""

from __future__ import annotations

import numpy as np
from attrs import evolve

from utd_rx.models.audio import AudioFrame


class Gain:
    """Makes frames louder or softer; it moves within a frame, never by a step, and saturates.

    Attributes:
        wanted: 1 for unchanged; set it on any thread.
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
