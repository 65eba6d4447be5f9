"""A sink of frames that may raise, against its contract, without harm to who calls it."""

from __future__ import annotations

import logging

from utd_rx.models.audio import AudioFrame, FrameSink
from utd_rx.models.faults import Faults


class GuardedSink:
    """Calls `sink`; what it raises is counted and logged, and the next frame comes all the same."""

    def __init__(self, sink: FrameSink) -> None:
        self._sink = sink
        self._faults = Faults(logging.getLogger("utd_rx.audio"), "an audio sink raised")

    def __call__(self, frame: AudioFrame) -> None:
        try:
            self._sink(frame)
        except Exception:  # noqa: BLE001 - logged by `note`
            self._faults.note()
