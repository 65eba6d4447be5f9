"""What may fail a hundred times a second, counted without a hundred lines of log a second."""

from __future__ import annotations

import logging

from utd_rx.models.audio import AudioFrame, FrameSink


class Faults:
    """Counts failures, told as `message`, and logs the 1st, 2nd, 4th, … with its traceback."""

    def __init__(self, logger: logging.Logger, message: str) -> None:
        self.count = 0
        self._logger = logger
        self._message = message

    def note(self) -> None:
        """Count the exception that is being handled."""
        self.count += 1
        if self.count & (self.count - 1) == 0:
            self._logger.exception("%s (%d times so far)", self._message, self.count)


class GuardedSink:
    """Calls `sink`, which may raise, against its contract: the next frame comes all the same."""

    def __init__(self, sink: FrameSink) -> None:
        self._sink = sink
        self._faults = Faults(logging.getLogger("utd_rx.audio"), "an audio sink raised")

    def __call__(self, frame: AudioFrame) -> None:
        try:
            self._sink(frame)
        except Exception:  # noqa: BLE001 - logged by `note`
            self._faults.note()
