"""Keeping a full reconnect from looking as if everybody had left.

When LiveKit restarts a connection it tears all remote participants down 0.1–2 ms *before* it says
`reconnecting`. Measured on livekit-server 1.13.5 (three of three): such a departure carries reason
0 (unknown), a real one the server's reason (1 left, 4 removed, …).

So a removal is held for two turns of `TURN`, or until it shows what it is:

* `reconnecting` follows: a teardown; dropped, the snapshot of `Reconnected` decides;
* a departure with a reason follows: real; it and what is held go out at once;
* nothing follows: real; sent when the time is over.

Order is kept per participant: an event of somebody whose removal is held waits behind it.
Everything else passes. Held are LiveKit's events, so that what is dropped never was told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

TURN: Final = 0.025
"""Seconds. Two turns rather than one timer of twice the length: after a stall of the loop a timer
is due at once, before the events that arrived meanwhile have been read; the second turn is not."""

DEPARTURE: Final = "participant_disconnected"
REMOVALS: Final = ("track_unsubscribed", "track_unpublished", DEPARTURE)
FENCES: Final = ("reconnecting", "reconnected", "disconnected")


class Raw(NamedTuple):
    """One of LiveKit's events as it was emitted."""

    name: str
    args: tuple[Any, ...]

    @property
    def identity(self) -> str | None:
        """Whom it is about, if anybody in particular."""
        found = (getattr(arg, "identity", None) for arg in self.args)
        return next((identity for identity in found if isinstance(identity, str)), None)

    @property
    def is_real_departure(self) -> bool:
        """Whether the server itself said that this participant left."""
        return self.name == DEPARTURE and bool(self.args[0].disconnect_reason)


class RemovalHold:
    """A short delay line for removals, in front of `deliver`."""

    def __init__(self, deliver: Callable[[Raw], None], loop: asyncio.AbstractEventLoop) -> None:
        self._deliver = deliver
        self._loop = loop
        self._held: list[Raw] = []
        self._identities: set[str | None] = set()
        self._timer: asyncio.TimerHandle | None = None

    def push(self, event: Raw) -> None:
        if event.name in FENCES:
            if event.name == "reconnecting":
                self._held = [held for held in self._held if held.name not in REMOVALS]
            self.flush()
            self._deliver(event)
        elif event.name in REMOVALS or (self._identities and event.identity in self._identities):
            self._held.append(event)
            self._identities.add(event.identity)
            if event.name in REMOVALS:
                self._disarm()
                self._wait(0 if event.is_real_departure else 2)
        else:
            self._deliver(event)

    def flush(self) -> None:
        held, self._held = self._held, []
        self._identities.clear()
        self._disarm()
        for event in held:
            self._deliver(event)

    def _wait(self, turns: int) -> None:
        if turns:
            self._timer = self._loop.call_later(TURN, self._wait, turns - 1)
        else:
            self.flush()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
