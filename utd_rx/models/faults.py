"""Counting what may fail a hundred times a second, without a log of a hundred lines a second."""

from __future__ import annotations

import logging


class Faults:
    """Counts failures, and logs the 1st, 2nd, 4th, … with its traceback.

    Args:
        logger: Where they are logged.
        message: What happened.

    Attributes:
        count: How many there were.
    """

    def __init__(self, logger: logging.Logger, message: str) -> None:
        self.count = 0
        self._logger = logger
        self._message = message

    def note(self) -> None:
        """Count the exception that is being handled."""
        self.count += 1
        if self.count & (self.count - 1) == 0:
            self._logger.exception("%s (%d times so far)", self._message, self.count)
