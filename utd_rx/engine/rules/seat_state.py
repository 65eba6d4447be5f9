"""The seat grid of an audio room (docs/contract.md, "Seats").

Publishing is sitting on a seat. What follows from a command is derived in one place, `commit`, by
comparing two grids: who lost a seat loses the right to publish, who gained one gets it, and any
difference raises `rev` by one and is published. So no rule can forget it.

Absence is a deadline in the state: whoever is not connected keeps a seat, a pending request and
invitations until `frees_at[identity]`, which is what carries them over a full reconnect (the SFU
reports leaving and joining then).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from utd_rx.engine.rules import grids
from utd_rx.engine.rules.effects import ApplyGrant, Effects, MuteTracks, PublishSeats, Push
from utd_rx.engine.rules.refusal import conflict, forbidden, invalid
from utd_rx.engine.rules.roles import MODERATORS, Actor
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import Invitation, UTDSeat, UTDSeatGrid, UTDSeatMode
from utd_rx.protocol.wire.seats import MAX_SEATS

ABSENCE_SECONDS: Final = 20.0
"""How long a seat waits for somebody who is not connected (docs/contract.md, "Presence")."""

DEPARTURE_SECONDS: Final = 2.0
"""The same for somebody who said goodbye. Not 0: a full reconnect also says goodbye, with the
same reason, 0.1 s before it joins again (measured on livekit-server 1.13.5)."""


@frozen
class OpenInvitation:
    invitation: Invitation
    expires_at: float


@frozen
class SeatState:
    """The grid, who the host is, who is connected and until when what the absent have waits.

    `next_id` numbers requests and invitations alike, so an id of one is never one of the other.
    `muted` are those of the seated whose microphones a host or admin muted, and who did not unmute
    them since: a new track of theirs is muted as well, or a mute would end with the next
    publication (docs/contract.md, "Seats").
    """

    grid: UTDSeatGrid = field(factory=lambda: UTDSeatGrid(revision=0))
    host: str | None = None
    connected: frozenset[str] = frozenset()
    frees_at: FrozenMap[str, float] = field(factory=FrozenMap)
    invitations: tuple[OpenInvitation, ...] = ()
    next_id: int = 1
    muted: frozenset[str] = frozenset()

    @property
    def seated(self) -> frozenset[str]:
        """Who sits, and so may publish."""
        return frozenset(seat.identity for seat in self.grid.seats if seat.identity is not None)

    @property
    def involved(self) -> frozenset[str]:
        """Who has something to lose by being away: a seat, a request, an invitation."""
        waiting = (request.identity for request in self.grid.requests)
        parties = (
            identity
            for one in self.invitations
            for identity in (one.invitation.inviter, one.invitation.target)
        )
        return self.seated.union(waiting, parties)

    @property
    def next_deadline(self) -> float | None:
        """When `time_passed` has something to do, None for never."""
        ends = (one.expires_at for one in self.invitations)
        return min((*self.frees_at.values(), *ends), default=None)


@frozen
class SetUpSeats:
    """How to make or change a grid; what is None stays as it is."""

    count: int | None = None
    mode: UTDSeatMode | None = None
    mode_id: str | None = None
    host_seat: int | None = None


Reply: TypeAlias = dict[str, object]
Changed: TypeAlias = tuple[SeatState, Effects, Reply]
"""What a command makes of the seats, what follows beside, and what it answers; {} is the grid."""

SeatCommand: TypeAlias = Callable[[SeatState, Actor, float], Changed]
"""Commands are these and those of `speakers`, with what they are about filled in."""


def command(seats: SeatState, actor: Actor, now: float, item: SeatCommand) -> Changed:
    """Carry out `item` for `actor`, whose role was let pass by `utd_rx.engine.authorization`."""
    found, pushes, reply = item(seats, actor, now)
    after, effects = commit(seats, found, now)
    # The grid first: whoever hears of an approval finds the seat taken.
    return after, (*effects, *pushes), reply


def set_up(seats: SeatState, actor: Actor, now: float, asked: SetUpSeats) -> Changed:
    grid = seats.grid
    count = grid.count if asked.count is None else asked.count
    if not (1 if asked.count is not None else 0) <= count <= MAX_SEATS:
        raise invalid(f"seat_count must be 1 to {MAX_SEATS}")
    found = tuple(grid.seats[i] if i < grid.count else UTDSeat(i) for i in range(count))
    if asked.host_seat is not None:
        if not 0 <= asked.host_seat < count:
            raise invalid("host_seat must be the index of a seat")
        if found[asked.host_seat].is_locked:
            raise conflict("a locked seat cannot be reserved; unlock it first")
        found = tuple(
            evolve(seat, reserved_for=seats.host if seat.index == asked.host_seat else None)
            for seat in found
        )
    if actor.is_admin and _of_host(seats, found) != _of_host(seats, grid.seats):
        raise forbidden("the host's seat and reservation are out of an admin's reach")
    mode = grid.mode if asked.mode is None else asked.mode
    grid = evolve(
        grid,
        seats=found,
        mode=mode,
        mode_id=grid.mode_id if asked.mode_id is None else asked.mode_id,
        requests=grid.requests if mode is UTDSeatMode.REQUEST else (),
    )
    return evolve(seats, grid=grid), (), {}


def take(seats: SeatState, actor: Actor, now: float, index: int) -> Changed:
    identity = actor.somebody()
    seat = grids.free_seat(seats.grid, identity, index)
    grids.refuse_seated(seats.grid, identity, "you already sit", "; move instead")
    needs_approval = seats.grid.mode is UTDSeatMode.REQUEST and actor.role not in MODERATORS
    if needs_approval and seat.reserved_for != identity:
        raise forbidden("seats are by request here; request to speak first")
    return evolve(seats, grid=grids.occupy(seats.grid, seat, identity)), (), {}


def leave(seats: SeatState, actor: Actor, now: float) -> Changed:
    """Stand up; without a seat it does nothing."""
    return evolve(seats, grid=grids.without_occupants(seats.grid, {actor.somebody()})), (), {}


def move(seats: SeatState, actor: Actor, now: float, index: int) -> Changed:
    identity = actor.somebody()
    target = grids.free_seat(seats.grid, identity, index)
    held = seats.grid.seat_of(identity)
    if held is None:
        raise conflict("you have no seat to move from; take one instead")
    grid = grids.replace(seats.grid, grids.emptied(held))
    grid = grids.occupy(grid, evolve(target, attributes=held.attributes), identity)
    return evolve(seats, grid=grid), (), {"from": held.index, "to": index}


def kick(seats: SeatState, actor: Actor, now: float, index: int) -> Changed:
    seat = _within_reach(seats, actor, index, "kicked")
    # A reservation protects its holder, not who sat there when it was made.
    if seat.reserved_for is not None and seat.identity in (None, seat.reserved_for):
        raise forbidden("nobody can be kicked from a seat reserved for them")
    return _with_seat(seats, grids.emptied(seat))


def lock(seats: SeatState, actor: Actor, now: float, index: int) -> Changed:
    """Lock a seat; whoever sits there loses it."""
    seat = _within_reach(seats, actor, index, "locked out")
    if seat.reserved_for is not None:
        raise forbidden("a reserved seat cannot be locked")
    return _with_seat(seats, evolve(grids.emptied(seat), is_locked=True))


def unlock(seats: SeatState, actor: Actor, now: float, index: int) -> Changed:
    return _with_seat(seats, evolve(grids.seat_at(seats.grid, index), is_locked=False))


def mute(seats: SeatState, actor: Actor, now: float, index: int, is_muted: bool) -> Changed:
    seat = _within_reach(seats, actor, index, "muted")
    if seat.identity is None:
        raise conflict(f"nobody sits on seat {seat.index}")
    found = with_muted(seats, seat.identity, is_muted)
    return found, (MuteTracks(seat.identity, is_muted),), {}


def with_muted(seats: SeatState, identity: str, is_muted: bool) -> SeatState:
    """Remember for whom of the seated a new track is to be muted."""
    if not is_muted:
        return evolve(seats, muted=seats.muted - {identity})
    return evolve(seats, muted=(seats.muted | {identity}) & seats.seated)


def joined(seats: SeatState, identity: str) -> SeatState:
    """`identity` is connected."""
    connected, frees_at = seats.connected | {identity}, seats.frees_at.remove(identity)
    return evolve(seats, connected=connected, frees_at=frees_at)


def left(seats: SeatState, identity: str, now: float, grace: float) -> tuple[SeatState, Effects]:
    """`identity` is not connected any more; what it has waits `grace` seconds, 0 is not at all."""
    seats = evolve(seats, connected=seats.connected - {identity})
    if grace <= 0:
        return commit(seats, _without(seats, {identity}), now)
    if identity in seats.involved:
        seats = evolve(seats, frees_at=seats.frees_at.set(identity, now + grace))
    return seats, ()


def time_passed(seats: SeatState, now: float) -> tuple[SeatState, Effects]:
    """Free what the absent did not come back for in time, and end the invitations that are due."""
    found = _without(seats, {identity for identity, at in seats.frees_at.items() if at <= now})
    live = tuple(one for one in found.invitations if one.expires_at > now)
    return commit(seats, evolve(found, invitations=live), now)


def taken_over(grid: UTDSeatGrid, now: float) -> SeatState:
    """Return the state of a grid that an engine before this one left; nobody counts as there."""
    next_id = max((request.id for request in grid.requests), default=0) + 1
    seats = SeatState(evolve(grid, revision=grid.revision or 0), next_id=next_id)
    waiting = dict.fromkeys(seats.involved, now + ABSENCE_SECONDS)
    return evolve(seats, frees_at=FrozenMap(waiting))


def layout_of(grid: UTDSeatGrid) -> SetUpSeats | None:
    """Return what makes a grid like this one, empty; None for one without seats."""
    if grid.count == 0:
        return None
    reserved = next((seat.index for seat in grid.seats if seat.reserved_for is not None), None)
    return SetUpSeats(grid.count, grid.mode, grid.mode_id, reserved)


def commit(before: SeatState, after: SeatState, now: float) -> tuple[SeatState, Effects]:
    """Make `after` the state: set its `revision` and `frees_at`, and derive the effects."""
    if after == before:
        return before, ()
    # Who sits down, whichever way, has no use for an offer of a seat any more.
    invitations = tuple(o for o in after.invitations if o.invitation.target not in after.seated)
    after = evolve(after, invitations=invitations, muted=after.muted & after.seated)
    waiting = {
        identity: before.frees_at.get(identity, now + ABSENCE_SECONDS)
        for identity in after.involved - after.connected
    }
    after = evolve(after, frees_at=FrozenMap(waiting))
    if after.grid == before.grid:
        return after, ()
    revision = (before.grid.revision or 0) + 1
    after = evolve(after, grid=evolve(after.grid, revision=revision))
    # Sorted, because the order of a set is not the same in two runs.
    lost = sorted(before.seated - after.seated)
    gained = sorted(after.seated - before.seated)
    effects: Effects = (*(ApplyGrant(identity) for identity in (*lost, *gained)), PublishSeats())
    if after.grid.mode_id != before.grid.mode_id:
        change = {"mode_id": after.grid.mode_id, "seat_count": after.grid.count}
        effects = (*effects, Push("_mode_change", FrozenMap(change)))
    return after, effects


def _with_seat(seats: SeatState, seat: UTDSeat) -> Changed:
    return evolve(seats, grid=grids.replace(seats.grid, seat)), (), {}


def _without(seats: SeatState, identities: AbstractSet[str]) -> SeatState:
    """Return the state in which none of `identities` sits, waits, invites or is invited."""
    grid = grids.without_occupants(seats.grid, identities)
    invitations = tuple(
        one
        for one in seats.invitations
        if identities.isdisjoint((one.invitation.inviter, one.invitation.target))
    )
    return evolve(seats, grid=grids.without_requests(grid, identities), invitations=invitations)


def _of_host(seats: SeatState, grid: tuple[UTDSeat, ...]) -> list[tuple[int, str | None]]:
    """Return what of `grid` is the host's: the seat sat on, and every reservation."""
    return [
        (seat.index, seat.reserved_for)
        for seat in grid
        if seat.reserved_for is not None
        or (seat.identity is not None and seat.identity == seats.host)
    ]


def _within_reach(seats: SeatState, actor: Actor, index: int, deed: str) -> UTDSeat:
    """Return a seat, unless it is an admin who is about to act on the host."""
    seat = grids.seat_at(seats.grid, index)
    if actor.is_admin and seats.host is not None and seat.identity == seats.host:
        raise forbidden(f"the host cannot be {deed} by an admin")
    return seat
