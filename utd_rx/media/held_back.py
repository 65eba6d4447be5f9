"""`HeldBack`: what is told while it cannot be handed on, thinned as what waits for a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from utd_rx.media.outbound import Outbound
from utd_rx.media.wire import Delivery
from utd_rx.models.events import RoomEvent


class HeldBack:
    """What a port told before it began with what it is asked for, and what since."""

    def __init__(self) -> None:
        self.has_begun = False
        self._before, self._since = Outbound(), Outbound()

    def append(self, told: Delivery) -> None:
        """Hold one more back."""
        (self._since if self.has_begun else self._before).put(told)

    def taken(self, *, is_afresh: bool) -> list[Delivery]:
        """Return what is to be told, where it begins afresh of what came since."""
        return [*([] if is_afresh else _taken(self._before)), *_taken(self._since)]


class HeldEvents:
    """Events of one room, in order."""

    def __init__(self) -> None:
        self._waiting = Outbound()

    def add(self, events: Sequence[RoomEvent]) -> None:
        """Hold some more back."""
        if events:
            self._waiting.put(Delivery(0, tuple(events)))

    def taken(self) -> list[RoomEvent]:
        """Return them, and hold none."""
        return [event for told in _taken(self._waiting) for event in told.batch]


def _taken(waiting: Outbound) -> list[Delivery]:
    found = []
    while (one := waiting.take()) is not None:
        assert isinstance(one[0], Delivery)
        found.append(one[0])
    return found
