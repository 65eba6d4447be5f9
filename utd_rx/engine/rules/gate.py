"""Who may come in: bans, and the serials of mints (docs/contract.md, "Bans" and "Old tokens").

LiveKit cannot revoke a token. So every mint puts a growing serial into the token's metadata, which
a refreshed one keeps; a kick or a ban raises the least serial allowed for (room, identity), closing
a room that of everybody, and a joiner below the floor is removed. Bans and floors outlive the rooms
they are about. `wall` is wall-clock seconds, `now` monotonic ones.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from utd_rx.engine.rules.refusal import conflict
from utd_rx.models.frozen_map import FrozenMap

TOKEN_SECONDS: Final = 3600.0

# A connected client's token is refreshed to at least ten minutes past now
# (docs/livekit.md, "Tokens"), so the last one it got outlives a floor by that at most; the rest is
# margin.
FLOOR_SECONDS: Final = TOKEN_SECONDS + 1800.0


MAX_ROOM_BANS: Final = 1000
"""Of one room: whoever opens one may make them."""

MAX_BANS: Final = 20_000
"""Of all rooms together. Those from the project are a backend's, and as many as it wants."""

_Bans: TypeAlias = FrozenMap[str, "Ban"]  # by identity


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


_NO_BANS: Final[_Bans] = FrozenMap()


@frozen
class Floor:
    """The least serial allowed, and when every token below it has expired."""

    serial: int
    forget_at: float


@frozen
class Gate:
    """Bans by room, of which None is the project, and floors by (room, identity), of which None is
    everybody."""

    next_serial: int = 1
    floors: FrozenMap[tuple[str, str | None], Floor] = field(factory=FrozenMap)
    bans: FrozenMap[str | None, _Bans] = field(factory=FrozenMap)
    next_ban: int = 1

    def ban(self, ban: Ban) -> tuple[Gate, Ban]:
        """Add `ban` under an id of its own; it replaces the one of the same user and scope.

        409 where a room, or all together, have as many as they may.
        """
        gate = self
        if ban.room is not None and ban.identity not in gate._of(ban.room) and gate._is_full(ban):
            gate = gate._without_ended(ban.banned_at)
            if gate._is_full(ban):
                raise conflict("there are as many bans as there may be; lift some")
        entry = evolve(ban, id=gate.next_ban)
        bans = gate.bans.set(ban.room, gate._of(ban.room).set(ban.identity, entry))
        return evolve(gate, bans=bans, next_ban=gate.next_ban + 1), entry

    def unban(self, identity: str, room: str | None) -> tuple[Gate, int]:
        """Lift a ban, all of the user's when `room` is None; tells how many there were."""
        rooms = [
            one for one in (self.bans if room is None else (room,)) if identity in self._of(one)
        ]
        bans = self.bans
        for one in rooms:
            left = bans[one].remove(identity)
            bans = bans.set(one, left) if left else bans.remove(one)
        return evolve(self, bans=bans), len(rooms)

    def active_bans(self, wall: float, room: str | None = None) -> tuple[Ban, ...]:
        """Return the bans that hold, newest first; only those of `room` when one is given."""
        scopes = self.bans.values() if room is None else (self._of(room),)
        found = (one for bans in scopes for one in bans.values() if one.is_active(wall))
        return tuple(sorted(found, key=lambda one: one.id, reverse=True))

    def is_banned(self, identity: str, room: str | None, wall: float) -> bool:
        """Whether `identity` is kept out of `room`; None is the project itself."""
        found = (self._of(scope).get(identity) for scope in {None, room})
        return any(one is not None and one.is_active(wall) for one in found)

    def _of(self, room: str | None) -> _Bans:
        return self.bans.get(room, _NO_BANS)

    def _is_full(self, ban: Ban) -> bool:
        total = sum(len(bans) for room, bans in self.bans.items() if room is not None)
        return len(self._of(ban.room)) >= MAX_ROOM_BANS or total >= MAX_BANS

    def _without_ended(self, wall: float) -> Gate:
        kept = {
            room: FrozenMap({who: one for who, one in bans.items() if one.is_active(wall)})
            for room, bans in self.bans.items()
        }
        return evolve(self, bans=FrozenMap({room: bans for room, bans in kept.items() if bans}))

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
