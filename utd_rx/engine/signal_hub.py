"""The hub: every signal socket of one engine, who is told what on them, and who is online
(docs/contract.md, "Signal socket").

Who is connected is the book's to say (`rules.signal_book`); a socket's own life is its own. A
socket that showed no bearer yet is known here for nothing but to be closed with the engine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final, Protocol

from attrs import frozen

from utd_rx.engine.call_news import Poster
from utd_rx.engine.engine_clock import EngineClock, Timer
from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.engine.rules.signal_book import Effects, Seen, Shut, SignalBook
from utd_rx.engine.rules.signal_socket import Close
from utd_rx.models.call import UTDCall
from utd_rx.protocol.wire.calls import call_to_wire, without_credentials
from utd_rx.protocol.wire.reading import Json


@frozen
class Subscriber:
    """Whose socket it is.

    Args:
        identity: The bearer's.
        device: The key of the device that holds it (`tokens.device_of`).
        expires_at: When the bearer ends, monotonic seconds.
        ringing: The calls that they are to answer.
    """

    identity: str
    device: str
    expires_at: float
    ringing: tuple[UTDCall, ...] = ()


class HubSocket(Protocol):
    """One signal socket, as the hub has it."""

    def trust(self, expires_at: float) -> None:
        """It showed a good bearer, which ends at `expires_at`, monotonic seconds."""

    def send(self, frame: str) -> None:
        """Tell it something; never waits."""

    def close(self, why: Close) -> None:
        """Close it; the first reason counts."""

    async def run(self, answer: Callable[[Json | None], str | None]) -> None:
        """Serve it to its end; `answer` takes each JSON object, None for a frame that is none, and
        says what to send back."""


class SignalHub:
    """All sockets; what is public but `serve` and `aclose` never waits and never raises."""

    def __init__(self, clock: EngineClock, poster: Poster) -> None:
        self._clock = clock
        self._poster = poster
        self._book = SignalBook()
        self._sockets: dict[int, HubSocket] = {}
        self._owners: dict[int, Subscriber] = {}
        self._numbers = count(1)
        self._timer: Timer | None = None
        self._is_closed = False

    def tell(
        self, identity: str, kind: str, call: UTDCall, *, except_device: str | None = None
    ) -> None:
        """Tell all devices of `identity` but one; `kind` is a frame's type without `call_`."""
        frame = _call_frame(kind, call)
        for device, number in self._book.devices(identity).items():
            if device != except_device:
                self._sockets[number].send(frame)

    def devices(self, identity: str) -> tuple[str, ...]:
        """Return the devices of somebody that are connected, the longest connected first."""
        return tuple(self._book.devices(identity))

    def evict(self, identity: str) -> None:
        """Close every socket of somebody who was banned."""
        now = self._clock.monotonic()
        self._become(*self._book.evicted(identity, Close.BANNED, now))

    async def serve(self, socket: HubSocket, admit: Callable[[str], Subscriber]) -> None:
        """Serve one socket to its end; `admit` says whose a bearer is, or raises `Refusal`."""
        number = next(self._numbers)
        self._sockets[number] = socket
        if self._is_closed:
            socket.close(Close.GOING_AWAY)
        try:
            await socket.run(lambda wire: self._take(number, wire, admit))
        finally:
            owner = self._owners.pop(number, None)
            if owner is not None:
                now = self._clock.monotonic()
                self._become(self._book.ended(owner.identity, owner.device, number, now))
            del self._sockets[number]

    def close(self) -> None:
        """Close every socket, and whichever still comes; nobody is said to be offline by it."""
        self._is_closed = True
        for socket in self._sockets.values():
            socket.close(Close.GOING_AWAY)
        self._arm()

    def _take(
        self, number: int, wire: Json | None, admit: Callable[[str], Subscriber]
    ) -> str | None:
        """Take one frame and return what to answer with; the first is the bearer's."""
        if number in self._owners:
            return _UNKNOWN
        socket, token = self._sockets[number], None if wire is None else wire.get("token")
        if wire is None or wire.get("type") != "auth" or not isinstance(token, str):
            socket.close(Close.UNAUTHORIZED)
            return None
        try:
            owner = admit(token)
        except Refusal as refusal:
            is_ban = refusal.reason is Reason.BANNED
            socket.close(Close.BANNED if is_ban else Close.UNAUTHORIZED)
            return None
        socket.trust(owner.expires_at)
        self._become(*self._book.opened(owner.identity, owner.device, number))
        if self._book.devices(owner.identity).get(owner.device) == number:  # else too many are
            self._owners[number] = owner
            socket.send(_AUTH_OK)
            for call in owner.ringing:
                socket.send(_call_frame("incoming", call))
        return None

    def _become(self, book: SignalBook, effects: Effects = ()) -> None:
        self._book = book
        for effect in effects:
            match effect:
                case Shut(number, why):
                    self._sockets[number].close(why)
                case Seen(identity, is_online):
                    event = "user_online" if is_online else "user_offline"
                    self._poster.post(event, participant={"identity": identity})
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._book.due_at is not None and not self._is_closed:
            self._timer = self._clock.call_at(self._book.due_at, self._time_passed)

    def _time_passed(self) -> None:
        self._timer = None
        self._become(*self._book.time_passed(self._clock.monotonic()))


def _call_frame(kind: str, call: UTDCall) -> str:
    return _frame({"type": f"call_{kind}", "call": call_to_wire(without_credentials(call))})


def _frame(wire: Mapping[str, object]) -> str:
    return json.dumps(wire, separators=(",", ":"))


_AUTH_OK: Final = _frame({"type": "auth_ok"})
_UNKNOWN: Final = _frame({"type": "error", "message": "there is no such frame; nothing was done"})
