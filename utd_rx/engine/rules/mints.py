"""Mint serials: how a token that LiveKit cannot revoke is made worthless.

Every mint puts a growing serial into the token's metadata. A kick or a ban raises the least
serial allowed for (room, identity), closing a room raises it for everybody in it, and a joiner
below the floor is removed. Floors outlive the room, because tokens do (facts/utd-engine.md
§7.1, 5).
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, field, frozen

from utd_rx.models.frozen_map import FrozenMap

TOKEN_SECONDS: Final = 3600.0

# A connected client's token is refreshed to at least ten minutes past now (facts/livekit.md
# §7.3), so the last one it got outlives a floor by that at most; the rest is margin.
FLOOR_SECONDS: Final = TOKEN_SECONDS + 1800.0


@frozen
class Floor:
    """The least serial allowed, and when every token below it has expired."""

    serial: int
    forget_at: float


@frozen
class Mints:
    """The serials of one engine. Keys are (room, identity); identity None means everybody."""

    next_serial: int = 1
    floors: FrozenMap[tuple[str, str | None], Floor] = field(factory=FrozenMap)


def take_serial(mints: Mints) -> tuple[Mints, int]:
    """Return the serial for a new token."""
    return evolve(mints, next_serial=mints.next_serial + 1), mints.next_serial


def raise_floor(mints: Mints, room: str, identity: str | None, now: float) -> Mints:
    """Make every token minted so far worthless; None is everybody in the room."""
    kept = {key: floor for key, floor in mints.floors.items() if floor.forget_at > now}
    kept[(room, identity)] = Floor(mints.next_serial, now + FLOOR_SECONDS)
    return evolve(mints, floors=FrozenMap(kept))


def is_stale(mints: Mints, room: str, identity: str, serial: int) -> bool:
    """Whether a token with `serial` must not be in the room any more."""
    floors = (mints.floors.get((room, key)) for key in (identity, None))
    return any(floor is not None and serial < floor.serial for floor in floors)
