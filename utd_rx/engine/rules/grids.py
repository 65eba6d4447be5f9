"""A seat grid as a value: finding a seat, and the grid with one thing different."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from attrs import evolve

from utd_rx.engine.rules.refusal import conflict, forbidden, invalid
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import UTDSeat, UTDSeatGrid


def seat_at(grid: UTDSeatGrid, index: int) -> UTDSeat:
    if not 0 <= index < grid.count:
        raise invalid(f"seat {index} is out of range; this room has {grid.count} seats")
    return grid.seats[index]


def free_seat(grid: UTDSeatGrid, identity: str, index: int) -> UTDSeat:
    """Return a seat `identity` may take."""
    seat = seat_at(grid, index)
    if seat.is_occupied:
        raise conflict(f"seat {index} is taken by {seat.identity!r}")
    if seat.is_locked:
        raise forbidden(f"seat {index} is locked")
    if not seat.is_available_to(identity):
        raise forbidden(f"seat {index} is reserved for somebody else")
    return seat


def first_free(grid: UTDSeatGrid) -> UTDSeat:
    """Return the first seat that is empty, unlocked and reserved for nobody."""
    for seat in grid.seats:
        if seat.is_empty and seat.reserved_for is None:
            return seat
    raise conflict("no seat is free")


def refuse_seated(grid: UTDSeatGrid, identity: str, sits: str, advice: str = "") -> None:
    """Refuse what only somebody without a seat may do, and say which theirs is."""
    if (seat := grid.seat_of(identity)) is not None:
        raise conflict(f"{sits} on seat {seat.index}{advice}")


def occupy(grid: UTDSeatGrid, seat: UTDSeat, identity: str) -> UTDSeatGrid:
    """Return the grid in which `identity` sits on `seat`, and waits for nothing any more."""
    return without_requests(replace(grid, evolve(seat, identity=identity)), {identity})


def emptied(seat: UTDSeat) -> UTDSeat:
    return evolve(seat, identity=None, attributes=FrozenMap())


def replace(grid: UTDSeatGrid, seat: UTDSeat) -> UTDSeatGrid:
    """Return the grid with `seat` in the place of the one with its index."""
    seats = tuple(seat if known.index == seat.index else known for known in grid.seats)
    return evolve(grid, seats=seats)


def without_occupants(grid: UTDSeatGrid, identities: AbstractSet[str]) -> UTDSeatGrid:
    """Return the grid in which none of `identities` sits."""
    seats = tuple(emptied(seat) if seat.identity in identities else seat for seat in grid.seats)
    return evolve(grid, seats=seats)


def without_requests(grid: UTDSeatGrid, identities: AbstractSet[str]) -> UTDSeatGrid:
    """Return the grid in which none of `identities` waits for a seat."""
    kept = tuple(request for request in grid.requests if request.identity not in identities)
    return evolve(grid, requests=kept)
