"""The life of one signal socket: its deadlines, and what ends it
(docs/contract.md, "Signal socket").

A socket waits for its bearer, is open, and closes: told once why, and cut off when the other side
takes too long over it. `now` is monotonic seconds.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final

from attrs import evolve, frozen

AUTH_SECONDS: Final = 5.0
"""How long a new socket may take to show a bearer."""

PING_SECONDS: Final = 25.0
"""Between two pings, and how long a pong may take."""

CLOSE_SECONDS: Final = 2.0
"""How long the other side may take to answer a close; then the connection is cut."""

MAX_FRAMES: Final = 100
"""Of any kind in `PING_SECONDS`: a client has one thing to say, and pongs."""


class Close(IntEnum):
    """Why a socket is closed; the value is the WebSocket's close code."""

    GOING_AWAY = 1001
    """The engine ends."""
    LOST = 1006
    """The other side does not answer. Cut without a word: nobody sends this code."""
    FLOOD = 1008
    FULL = 1013
    """There are too many sockets: try again later."""
    UNAUTHORIZED = 4001
    BANNED = 4003
    REPLACED = 4008


class Act(Enum):
    """What is to be done when time has passed."""

    NOTHING = "nothing"
    PING = "ping"
    CUT = "cut the connection, whose other side is gone"


@frozen
class Socket:
    """One socket; deadlines are None where nothing is due.

    Args:
        auth_by: Until when it must have shown a bearer.
        expires_at: When its bearer ends.
        ping_at: When to ask whether the other side is there.
        pong_by: Until when it must have answered.
        cut_at: When a socket that closes is cut.
        close: Why it closes; None while it does not.
        frames: How many came since the last ping.
    """

    auth_by: float | None = None
    expires_at: float | None = None
    ping_at: float | None = None
    pong_by: float | None = None
    cut_at: float | None = None
    close: Close | None = None
    frames: int = 0

    @property
    def due_at(self) -> float | None:
        """Return the next deadline."""
        due = (self.auth_by, self.expires_at, self.ping_at, self.pong_by, self.cut_at)
        return min((at for at in due if at is not None), default=None)


def connected(now: float) -> Socket:
    """A socket came up."""
    return Socket(auth_by=now + AUTH_SECONDS)


def trusted(socket: Socket, expires_at: float, now: float) -> Socket:
    """It showed a good bearer, which ends at `expires_at`."""
    return evolve(socket, auth_by=None, expires_at=expires_at, ping_at=now + PING_SECONDS)


def heard(socket: Socket, now: float, *, is_pong: bool = False) -> Socket:
    """A frame came; too many close it."""
    if socket.close is not None:
        return socket
    if socket.frames >= MAX_FRAMES:
        return closed(socket, Close.FLOOD, now)
    pong_by = None if is_pong else socket.pong_by
    return evolve(socket, frames=socket.frames + 1, pong_by=pong_by)


def closed(socket: Socket, why: Close, now: float) -> Socket:
    """It is to be closed; the first reason stays."""
    return socket if socket.close is not None else Socket(close=why, cut_at=now + CLOSE_SECONDS)


def time_passed(socket: Socket, now: float) -> tuple[Socket, Act]:
    """Do what is due."""

    def is_due(at: float | None) -> bool:
        return at is not None and at <= now

    if is_due(socket.cut_at) or is_due(socket.pong_by):
        return Socket(close=Close.LOST), Act.CUT
    if is_due(socket.auth_by) or is_due(socket.expires_at):
        return closed(socket, Close.UNAUTHORIZED, now), Act.NOTHING
    if is_due(socket.ping_at):
        asked = evolve(socket, ping_at=now + PING_SECONDS, pong_by=now + PING_SECONDS, frames=0)
        return asked, Act.PING
    return socket, Act.NOTHING
