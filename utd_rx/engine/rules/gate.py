"""Who may come in: bans, and the serials of mints (docs/contract.md, "Bans" and "Old tokens").

LiveKit cannot revoke a token. So every mint puts a growing serial into the token's metadata, which
a refreshed one keeps; a kick or a ban raises the least serial allowed for (room, identity), closing
a room that of everybody, and a joiner below the floor is removed. Bans and floors outlive the rooms
they are about. `wall` is wall-clock seconds, `now` monotonic ones.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, field, frozen

from utd_rx.models.frozen_map import FrozenMap

TOKEN_SECONDS: Final = 3600.0

# A connected client's token is refreshed to at least ten minutes past now
# (docs/livekit.md, "Tokens"), so the last one it got outlives a floor by that at most; the rest is
# margin.
FLOOR_SECONDS: Final = TOKEN_SECONDS + 1800.0


@frozen
class Ban:
    """One ban; times are wall-clock seconds, `room` None is the whole project."""

    id: int
    identity: str
    banned_at: float
    room: str | None = None
    reason: str | None = None
    expires_at: float | None = None
    name: str | None = None

    def is_active(self, wall: float) -> bool:
        return self.expires_at is None or wall < self.expires_at


@frozen
class Floor:
    """The least serial allowed, and when every token below it has expired."""

    serial: int
    forget_at: float


@frozen
class Gate:
    """Bans, oldest first, and floors by (room, identity), of which None is everybody."""

    next_serial: int = 1
    floors: FrozenMap[tuple[str, str | None], Floor] = field(factory=FrozenMap)
    bans: tuple[Ban, ...] = ()
    next_ban: int = 1

    def ban(self, ban: Ban) -> tuple[Gate, Ban]:
        """Add `ban` under an id of its own; it replaces the one of the same user and scope."""
        entry = evolve(ban, id=self.next_ban)
        scope = (ban.identity, ban.room)
        kept = (one for one in self.bans if one.is_active(ban.banned_at))
        bans = (*(one for one in kept if (one.identity, one.room) != scope), entry)
        return evolve(self, bans=bans, next_ban=self.next_ban + 1), entry

    def unban(self, identity: str, room: str | None) -> tuple[Gate, int]:
        """Lift a ban, all of the user's when `room` is None; tells how many there were."""
        kept = tuple(
            one for one in self.bans if one.identity != identity or room not in (None, one.room)
        )
        return evolve(self, bans=kept), len(self.bans) - len(kept)

    def active_bans(self, wall: float, room: str | None = None) -> tuple[Ban, ...]:
        """Return the bans that hold, newest first; only those of `room` when one is given."""
        bans = reversed(self.bans)
        return tuple(one for one in bans if one.is_active(wall) and room in (None, one.room))

    def is_banned(self, identity: str, room: str | None, wall: float) -> bool:
        """Whether `identity` is kept out of `room`; None is the project itself."""
        return any(
            one.identity == identity and one.room in (None, room) and one.is_active(wall)
            for one in self.bans
        )

    def void_tokens(self, room: str, identity: str | None, now: float) -> Gate:
        """Make every token minted so far worthless; None is everybody's for the room."""
        kept = {key: floor for key, floor in self.floors.items() if floor.forget_at > now}
        kept[(room, identity)] = Floor(self.next_serial, now + FLOOR_SECONDS)
        return evolve(self, floors=FrozenMap(kept))

    def is_stale(self, room: str, identity: str, serial: int) -> bool:
        """Whether a token with `serial` must not be in the room any more."""
        floors = (self.floors.get((room, key)) for key in (identity, None))
        return any(floor is not None and serial < floor.serial for floor in floors)

    def is_unwelcome(self, room: str, identity: str, serial: int | None, wall: float) -> bool:
        """Whether somebody who connected must be removed.

        A token without a serial was made with LiveKit's own key, whose holder rules the SFU anyway.
        """
        is_stale = serial is not None and self.is_stale(room, identity, serial)
        return is_stale or self.is_banned(identity, room, wall)
