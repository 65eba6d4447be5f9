"""One timer for the deadlines of a machine's rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from utd_rx.ports.clock import Cancel, Clock
from utd_rx.protocol.facts.connection import DeadlinePassed
from utd_rx.state import Machine

S = TypeVar("S")


class DeadlineTimer(Generic[S]):
    """Tells a machine when the next of its deadlines has passed."""

    def __init__(
        self,
        machine: Machine[S, Any, Any],
        next_deadline: Callable[[S], float | None],
        clock: Clock,
    ) -> None:
        self._machine = machine
        self._next_deadline = next_deadline
        self._clock = clock
        self._cancel: Cancel | None = None
        machine.select(next_deadline, name="deadline").subscribe(self._arm)

    def stop(self) -> None:
        """Tell nothing more until the deadline changes. Idempotent."""
        if self._cancel is not None:
            self._cancel()
        self._cancel = None

    def _arm(self, deadline: float | None) -> None:
        self.stop()
        if deadline is not None:
            self._cancel = self._clock.call_at(deadline, self._due)

    def _due(self) -> None:
        self._cancel = None
        self._machine.offer(DeadlinePassed())
        # What is published may still be as it was, and then nothing has armed the timer again.
        if self._cancel is None and not self._machine.closed:
            self._arm(self._next_deadline(self._machine.head))
