"""The seat grid of an audio room (facts/utd-engine.md §3.3, §4.1, §7.2).

Publishing is sitting on a seat. A command is a function from grid to grid, or a refusal; nothing
else. What follows from it is derived in one place, `_commit`, by comparing the two grids: who
lost a seat loses the right to publish, who gained one gets it, and any difference raises `rev`
by one and is published. So "may publish if and only if seated" cannot be forgotten by a rule.

Absence is a deadline in the state: a seat holder who is not connected keeps the seat until
`frees_at[identity]`, which is what carries them over a full reconnect (the SFU reports leaving
and joining then).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from utd_rx.engine.rules.effects import ApplyGrant, Effects, MuteAudio, PublishSeats, Push
from utd_rx.engine.rules.refusal import conflict, forbidden, invalid
from utd_rx.engine.rules.roles import MODERATORS
from utd_rx.engine.rules.seat_commands import (
    Actor,
    Command,
    KickSeat,
    LeaveSeat,
    LockSeat,
    MoveSeat,
    MuteSeat,
    SetUpSeats,
    TakeSeat,
    UnlockSeat,
)
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import UTDSeat, UTDSeatGrid, UTDSeatMode
from utd_rx.protocol.wire.seats import MAX_SEATS

ABSENCE_SECONDS: Final = 20.0
"""How long a seat waits for somebody who is not connected (§7.2, 10)."""

DEPARTURE_SECONDS: Final = 2.0
"""The same for somebody who said goodbye. Not 0: a full reconnect also says goodbye, with the
same reason, 0.1 s before it joins again (measured on livekit-server 1.13.5)."""


@frozen
class Seats:
    """The grid, who the host is, who is connected and until when an absent holder's seat waits."""

    grid: UTDSeatGrid = field(factory=lambda: UTDSeatGrid(revision=0))
    host: str | None = None
    connected: frozenset[str] = frozenset()
    frees_at: FrozenMap[str, float] = field(factory=FrozenMap)

    @property
    def seated(self) -> frozenset[str]:
        """Who sits, and so may publish."""
        return frozenset(seat.identity for seat in self.grid.seats if seat.identity is not None)

    @property
    def next_deadline(self) -> float | None:
        """When the next absent holder's seat is due, None when nobody is absent."""
        return min(self.frees_at.values(), default=None)


def command(seats: Seats, actor: Actor, item: Command, now: float) -> tuple[Seats, Effects]:
    """Carry out `item` for `actor`.

    Whether the actor's role may command it at all was decided by `utd_rx.engine.authorization`.

    Raises:
        Refusal: Nothing has changed then.
    """
    if isinstance(item, MuteSeat):
        return seats, _mute(seats, actor, item)
    return _commit(seats, _RULES[type(item)](seats, actor, item), now)


def joined(seats: Seats, identity: str) -> Seats:
    """`identity` is connected."""
    return evolve(
        seats,
        connected=seats.connected | {identity},
        frees_at=seats.frees_at.remove(identity),
    )


def left(seats: Seats, identity: str, now: float, grace: float) -> tuple[Seats, Effects]:
    """`identity` is not connected any more; its seat waits `grace` seconds, 0 frees it at once."""
    seats = evolve(seats, connected=seats.connected - {identity})
    if grace <= 0:
        return _commit(seats, _without(seats.grid, frozenset({identity})), now)
    if identity in seats.seated:
        seats = evolve(seats, frees_at=seats.frees_at.set(identity, now + grace))
    return seats, ()


def time_passed(seats: Seats, now: float) -> tuple[Seats, Effects]:
    """Free the seats whose absent holders did not come back in time."""
    due = frozenset(identity for identity, at in seats.frees_at.items() if at <= now)
    return _commit(seats, _without(seats.grid, due), now) if due else (seats, ())


def with_host(seats: Seats, host: str) -> Seats:
    """Say who the host is; reservations are made for it from now on."""
    return evolve(seats, host=host)


def _set_up(seats: Seats, actor: Actor, item: SetUpSeats) -> UTDSeatGrid:
    grid = seats.grid
    count = grid.count if item.count is None else item.count
    if not (1 if item.count is not None else 0) <= count <= MAX_SEATS:
        raise invalid(f"seat_count must be 1 to {MAX_SEATS}")
    found = tuple(grid.seats[i] if i < grid.count else UTDSeat(i) for i in range(count))
    if item.host_seat is not None:
        if not 0 <= item.host_seat < count:
            raise invalid("host_seat must be the index of a seat")
        if found[item.host_seat].is_locked:
            raise conflict("a locked seat cannot be reserved; unlock it first")
        found = tuple(
            evolve(seat, reserved_for=seats.host if seat.index == item.host_seat else None)
            for seat in found
        )
    mode = grid.mode if item.mode is None else item.mode
    return evolve(
        grid,
        seats=found,
        mode=mode,
        mode_id=grid.mode_id if item.mode_id is None else item.mode_id,
        requests=grid.requests if mode is UTDSeatMode.REQUEST else (),
    )


def _take(seats: Seats, actor: Actor, item: TakeSeat) -> UTDSeatGrid:
    identity = _identity(actor)
    seat = _free_seat(seats, identity, item.index)
    if seats.grid.seat_of(identity) is not None:
        raise conflict("you already sit on a seat; move instead")
    needs_approval = seats.grid.mode is UTDSeatMode.REQUEST and actor.role not in MODERATORS
    if needs_approval and seat.reserved_for != identity:
        raise forbidden("seats are by request here; request to speak first")
    grid = _replace(seats.grid, _occupied(seat, identity, actor.attributes))
    # Whoever sits waits for nothing any more.
    return evolve(
        grid,
        requests=tuple(request for request in grid.requests if request.identity != identity),
    )


def _leave(seats: Seats, actor: Actor, item: LeaveSeat) -> UTDSeatGrid:
    return _without(seats.grid, frozenset({_identity(actor)}))


def _move(seats: Seats, actor: Actor, item: MoveSeat) -> UTDSeatGrid:
    identity = _identity(actor)
    target = _free_seat(seats, identity, item.target)
    held = seats.grid.seat_of(identity)
    if held is None:
        raise conflict("you have no seat to move from; take one instead")
    grid = _replace(seats.grid, _emptied(held))
    return _replace(grid, _occupied(target, identity, held.attributes))


def _kick(seats: Seats, actor: Actor, item: KickSeat) -> UTDSeatGrid:
    seat = _seat(seats, item.index)
    _refuse_against_host(seats, actor, seat, "kicked")
    if seat.reserved_for is not None:
        raise forbidden("nobody can be kicked from a reserved seat")
    return _replace(seats.grid, _emptied(seat))


def _lock(seats: Seats, actor: Actor, item: LockSeat) -> UTDSeatGrid:
    seat = _seat(seats, item.index)
    _refuse_against_host(seats, actor, seat, "locked out")
    if seat.reserved_for is not None:
        raise forbidden("a reserved seat cannot be locked")
    return _replace(seats.grid, evolve(_emptied(seat), is_locked=True))


def _unlock(seats: Seats, actor: Actor, item: UnlockSeat) -> UTDSeatGrid:
    return _replace(seats.grid, evolve(_seat(seats, item.index), is_locked=False))


def _mute(seats: Seats, actor: Actor, item: MuteSeat) -> Effects:
    seat = _seat(seats, item.index)
    _refuse_against_host(seats, actor, seat, "muted")
    if seat.identity is None:
        raise conflict(f"nobody sits on seat {seat.index}")
    return (MuteAudio(seat.identity, item.is_muted),)


# Any: a table cannot say that the type of its key is the type of the rule's last argument.
_RULES: Final[Mapping[type[Command], Callable[[Seats, Actor, Any], UTDSeatGrid]]] = {
    SetUpSeats: _set_up,
    TakeSeat: _take,
    LeaveSeat: _leave,
    MoveSeat: _move,
    KickSeat: _kick,
    LockSeat: _lock,
    UnlockSeat: _unlock,
}


def _commit(seats: Seats, grid: UTDSeatGrid, now: float) -> tuple[Seats, Effects]:
    """Make `grid` the grid: raise `rev` and derive the effects, or do nothing if it is the same."""
    if grid == seats.grid:
        return seats, ()
    before = seats.grid
    after = evolve(
        seats, grid=evolve(grid, revision=(before.revision or 0) + 1), frees_at=FrozenMap()
    )
    # Sorted, because the order of a set is not the same in two runs.
    lost = sorted(seats.seated - after.seated)
    gained = sorted(after.seated - seats.seated)
    waiting = {
        identity: seats.frees_at.get(identity, now + ABSENCE_SECONDS)
        for identity in after.seated - after.connected
    }
    effects: Effects = (*(ApplyGrant(identity) for identity in (*lost, *gained)), PublishSeats())
    if grid.mode_id != before.mode_id:
        change = {"mode_id": grid.mode_id, "seat_count": grid.count}
        effects = (*effects, Push("_mode_change", FrozenMap(change)))
    return evolve(after, frees_at=FrozenMap(waiting)), effects


def _seat(seats: Seats, index: int) -> UTDSeat:
    if not 0 <= index < seats.grid.count:
        raise invalid(f"seat {index} is out of range; this room has {seats.grid.count} seats")
    return seats.grid.seats[index]


def _free_seat(seats: Seats, identity: str, index: int) -> UTDSeat:
    """Return seat `index` when `identity` may sit down on it."""
    seat = _seat(seats, index)
    if seat.is_occupied:
        raise conflict(f"seat {index} is occupied")
    if seat.is_locked:
        raise forbidden(f"seat {index} is locked")
    if not seat.is_available_to(identity):
        raise forbidden(f"seat {index} is reserved for somebody else")
    return seat


def _refuse_against_host(seats: Seats, actor: Actor, seat: UTDSeat, deed: str) -> None:
    if actor.is_admin and seats.host is not None and seat.identity == seats.host:
        raise forbidden(f"the host cannot be {deed} by an admin")


def _identity(actor: Actor) -> str:
    if actor.identity is None:
        raise invalid("identity is required")
    return actor.identity


def _occupied(seat: UTDSeat, identity: str, attributes: FrozenMap[str, str]) -> UTDSeat:
    return evolve(seat, identity=identity, attributes=attributes)


def _emptied(seat: UTDSeat) -> UTDSeat:
    return evolve(seat, identity=None, attributes=FrozenMap())


def _replace(grid: UTDSeatGrid, seat: UTDSeat) -> UTDSeatGrid:
    return evolve(
        grid, seats=tuple(seat if known.index == seat.index else known for known in grid.seats)
    )


def _without(grid: UTDSeatGrid, identities: frozenset[str]) -> UTDSeatGrid:
    """Return the grid in which none of `identities` sits or waits."""
    return evolve(
        grid,
        seats=tuple(_emptied(seat) if seat.identity in identities else seat for seat in grid.seats),
    )
