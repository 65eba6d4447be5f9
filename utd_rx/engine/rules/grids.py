"""A seat grid as a value: finding a seat, and the grid with one thing different."""

from __future__ import annotations

from attrs import evolve

from utd_rx.engine.rules.refusal import conflict, forbidden, invalid
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import UTDSeat, UTDSeatGrid


def seat_at(grid: UTDSeatGrid, index: int) -> UTDSeat:
    """Return a seat.

    Raises:
        Refusal: 422 when there is no such index.
    """
    if not 0 <= index < grid.count:
        raise invalid(f"seat {index} is out of range; this room has {grid.count} seats")
    return grid.seats[index]


def free_seat(grid: UTDSeatGrid, identity: str, index: int) -> UTDSeat:
    """Return seat `index` when `identity` may sit down on it.

    Raises:
        Refusal: 409 when it is occupied, 403 when locked or somebody else's, 422.
    """
    seat = seat_at(grid, index)
    if seat.is_occupied:
        raise conflict(f"seat {index} is occupied")
    if seat.is_locked:
        raise forbidden(f"seat {index} is locked")
    if not seat.is_available_to(identity):
        raise forbidden(f"seat {index} is reserved for somebody else")
    return seat


def first_free(grid: UTDSeatGrid) -> UTDSeat:
    """Return the first seat that is empty, unlocked and reserved for nobody.

    Raises:
        Refusal: 409 when there is none.
    """
    for seat in grid.seats:
        if seat.is_empty and seat.reserved_for is None:
            return seat
    raise conflict("no seat is free")


def refuse_seated(grid: UTDSeatGrid, identity: str, message: str) -> None:
    """Refuse what only somebody without a seat may do.

    Raises:
        Refusal: 409.
    """
    if grid.seat_of(identity) is not None:
        raise conflict(message)


def occupy(
    grid: UTDSeatGrid, seat: UTDSeat, identity: str, attributes: FrozenMap[str, str]
) -> UTDSeatGrid:
    """Return the grid in which `identity` sits on `seat`, and waits for nothing any more."""
    return without_requests(
        replace(grid, evolve(seat, identity=identity, attributes=attributes)),
        frozenset({identity}),
    )


def emptied(seat: UTDSeat) -> UTDSeat:
    """Return the seat with nobody on it."""
    return evolve(seat, identity=None, attributes=FrozenMap())


def replace(grid: UTDSeatGrid, seat: UTDSeat) -> UTDSeatGrid:
    """Return the grid with `seat` in the place of the one with its index."""
    return evolve(
        grid, seats=tuple(seat if known.index == seat.index else known for known in grid.seats)
    )


def without_occupants(grid: UTDSeatGrid, identities: frozenset[str]) -> UTDSeatGrid:
    """Return the grid in which none of `identities` sits."""
    return evolve(
        grid,
        seats=tuple(emptied(seat) if seat.identity in identities else seat for seat in grid.seats),
    )


def without_requests(grid: UTDSeatGrid, identities: frozenset[str]) -> UTDSeatGrid:
    """Return the grid in which none of `identities` waits for a seat."""
    return evolve(
        grid,
        requests=tuple(request for request in grid.requests if request.identity not in identities),
    )
