"""Who is connected to the signal socket: by identity and device, and since when nobody any more
(docs/contract.md, "Signal socket").

A socket is a number that its owner gave it. Only sockets that showed a bearer are in the book.
`now` is monotonic seconds.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from utd_rx.engine.rules.signal_socket import Close
from utd_rx.models.frozen_map import FrozenMap

OFFLINE_SECONDS: Final = 5.0
"""How long somebody without a socket still counts as online: clients reconnect."""

MAX_DEVICES: Final = 16
"""Sockets of one identity: the oldest gives way."""

MAX_SOCKETS: Final = 4096
"""In all: beyond, nobody new is taken."""

Devices: TypeAlias = FrozenMap[str, int]
"""One identity's sockets by device, the oldest first; never empty."""


@frozen
class Shut:
    """A socket is to be closed."""

    socket: int
    why: Close


@frozen
class Seen:
    """Somebody came online, or went."""

    identity: str
    is_online: bool


Effects: TypeAlias = tuple[Shut | Seen, ...]


@frozen
class SignalBook:
    """Every socket that showed a bearer, and who has just none.

    Args:
        sockets: By identity and device.
        count: How many they are.
        leaving: By identity, when somebody without a socket counts as offline; soonest first.
    """

    sockets: FrozenMap[str, Devices] = field(factory=FrozenMap)
    count: int = 0
    leaving: FrozenMap[str, float] = field(factory=FrozenMap)

    @property
    def due_at(self) -> float | None:
        """Return when somebody is offline next."""
        return next(iter(self.leaving.values()), None)

    def devices(self, identity: str) -> Devices:
        """Return the sockets of one identity by device."""
        return self.sockets.get(identity, _NONE)

    def opened(self, identity: str, device: str, socket: int) -> tuple[SignalBook, Effects]:
        """Take a socket in; it replaces that of the same device.

        When there are too many it is shut itself, with the book as it was.
        """
        known = self.devices(identity)
        out = known.get(device)
        if out is None and len(known) >= MAX_DEVICES:
            device_out, out = next(iter(known.items()))
            known = known.remove(device_out)
        if out is None and self.count >= MAX_SOCKETS:
            return self, (Shut(socket, Close.FULL),)
        sockets = self.sockets.set(identity, known.remove(device).set(device, socket))
        is_new = identity not in self.sockets and identity not in self.leaving
        book = SignalBook(sockets, self.count + (out is None), self.leaving.remove(identity))
        gone: Effects = () if out is None else (Shut(out, Close.REPLACED),)
        return book, (*gone, *((Seen(identity, True),) if is_new else ()))

    def ended(self, identity: str, device: str, socket: int, now: float) -> SignalBook:
        """A socket is over; one that was replaced, or is in no book, changes nothing."""
        known = self.devices(identity)
        return self._without(identity, (device,), now) if known.get(device) == socket else self

    def evicted(self, identity: str, why: Close, now: float) -> tuple[SignalBook, Effects]:
        """Shut every socket of one identity."""
        known = self.devices(identity)
        effects = tuple(Shut(socket, why) for socket in known.values())
        return self._without(identity, tuple(known), now), effects

    def time_passed(self, now: float) -> tuple[SignalBook, Effects]:
        """Who has been without a socket for long enough is offline."""
        gone = tuple(identity for identity, at in self.leaving.items() if at <= now)
        leaving = self.leaving
        for identity in gone:
            leaving = leaving.remove(identity)
        return evolve(self, leaving=leaving), tuple(Seen(who, False) for who in gone)

    def _without(self, identity: str, devices: tuple[str, ...], now: float) -> SignalBook:
        left = self.devices(identity)
        for device in devices:
            left = left.remove(device)
        book = evolve(self, count=self.count - len(devices))
        if left:
            return evolve(book, sockets=self.sockets.set(identity, left))
        if not devices:
            return self
        leaving = self.leaving.set(identity, now + OFFLINE_SECONDS)
        return evolve(book, sockets=self.sockets.remove(identity), leaving=leaving)


_NONE: Final[Devices] = FrozenMap()
