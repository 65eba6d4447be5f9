"""Bans: from a room or the project, for a time or for good (facts/utd-engine.md §3.6, §4.7)."""

from __future__ import annotations

from attrs import evolve, frozen

from utd_rx.engine.rules.refusal import banned


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

    def is_active(self, now: float) -> bool:
        """Whether it still holds at `now`."""
        return self.expires_at is None or now < self.expires_at

    def covers(self, room: str | None) -> bool:
        """Whether it keeps the user out of `room`; None is the project itself."""
        return self.room is None or self.room == room


@frozen
class BanList:
    """All bans of one engine, oldest first."""

    entries: tuple[Ban, ...] = ()
    next_id: int = 1


def add(bans: BanList, ban: Ban) -> tuple[BanList, Ban]:
    """Add `ban` under a fresh id; it replaces the one of the same user and scope."""
    entry = evolve(ban, id=bans.next_id)
    kept = tuple(
        known
        for known in bans.entries
        if known.is_active(ban.banned_at)
        and (known.identity, known.room) != (ban.identity, ban.room)
    )
    return BanList((*kept, entry), bans.next_id + 1), entry


def lift(bans: BanList, identity: str, room: str | None) -> tuple[BanList, tuple[Ban, ...]]:
    """Lift the ban of `identity` from `room`, all of its bans when `room` is None.

    Returns:
        The remaining bans, and those lifted; none is no error.
    """
    lifted = tuple(
        ban for ban in bans.entries if ban.identity == identity and room in (None, ban.room)
    )
    return evolve(bans, entries=tuple(ban for ban in bans.entries if ban not in lifted)), lifted


def active(bans: BanList, now: float, *, room: str | None = None) -> tuple[Ban, ...]:
    """Return the bans that hold at `now`, newest first; only those of `room` when one is given."""
    return tuple(
        ban for ban in reversed(bans.entries) if ban.is_active(now) and room in (None, ban.room)
    )


def find(bans: BanList, identity: str, room: str | None, now: float) -> Ban | None:
    """Return the ban that keeps `identity` out of `room`, None when there is none."""
    return next(
        (
            ban
            for ban in bans.entries
            if ban.identity == identity and ban.covers(room) and ban.is_active(now)
        ),
        None,
    )


def refuse_banned(bans: BanList, identity: str, room: str | None, now: float) -> None:
    """Refuse whoever is banned from `room`.

    Raises:
        Refusal: 403 with the code of a ban.
    """
    if find(bans, identity, room, now) is not None:
        raise banned()
