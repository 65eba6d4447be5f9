"""The seat grid on the wire, in both spellings (docs/contract.md, "Seats").

| | REST `GET /seats` | push `_seat_update` and room metadata `_seats` |
| --- | --- | --- |
| grid | `seat_count`, `seat_mode` | `count`, `mode` |
| seat | `seat_index`, `occupant_identity`, `locked: 0/1` | `index`, `identity`, `locked: bool` |

Reading accepts either, also mixed; writing never mixes them (docs/contract.md, "Spellings").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import asdict, evolve

from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import Invitation, SpeakRequest, UTDSeat, UTDSeatGrid, UTDSeatMode
from utd_rx.protocol.wire.reading import (
    Json,
    read_bool,
    read_int,
    read_list,
    read_object,
    read_text,
    read_texts,
    without_none,
)

MAX_SEATS: Final = 100
"""The engine's limit (docs/contract.md, "Minting"); a longer grid is cut rather than believed."""

MODES: Final[Mapping[str, UTDSeatMode]] = {mode.value: mode for mode in UTDSeatMode}


def grid_from_wire(wire: Json) -> UTDSeatGrid:
    listed: dict[int, UTDSeat] = {}
    entries = read_list(wire.get("seats"))
    for position, entry in enumerate(entries):
        seat = _seat_from_wire(read_object(entry), position)
        if 0 <= seat.index < MAX_SEATS:
            listed.setdefault(seat.index, seat)
    count = read_int(_first(wire, "seat_count", "count"))
    if count is None:
        count = max(len(entries), max(listed, default=-1) + 1)
    count = max(0, min(count, MAX_SEATS))
    return UTDSeatGrid(
        seats=tuple(listed.get(i, UTDSeat(i)) for i in range(count)),
        mode=MODES.get(read_text(_first(wire, "seat_mode", "mode")) or "", UTDSeatMode.FREE),
        mode_id=read_text(wire.get("mode_id")),
        requests=requests_from_wire(wire.get("requests")),
        revision=read_int(wire.get("rev")),
    )


def keep_attributes(grid: UTDSeatGrid, known: UTDSeatGrid) -> UTDSeatGrid:
    """Return `grid` with what is `known` of who still sits where they sat, where it tells none.

    Never that of a previous occupant (docs/contract.md, "Seats").
    """
    pairs = zip(grid.seats, known.seats, strict=False)
    kept = tuple(_with_attributes(seat, before) for seat, before in pairs)
    return evolve(grid, seats=(*kept, *grid.seats[len(kept) :]))


def requests_from_wire(wire: object) -> tuple[SpeakRequest, ...]:
    """Read pending speak requests; entries without an id or an identity are dropped."""
    requests = []
    for entry in map(read_object, read_list(wire)):
        id_, identity = read_int(entry.get("id")), read_text(entry.get("identity"))
        if id_ is not None and identity is not None:
            requests.append(SpeakRequest(id_, identity, read_text(entry.get("created_at"))))
    return tuple(requests)


def invitation_from_wire(wire: Json) -> Invitation | None:
    """Read an invitation; None without its id, inviter or target."""
    id_ = read_int(wire.get("invitation_id"))
    inviter = read_text(wire.get("inviter_identity"))
    target = read_text(wire.get("target_identity"))
    if id_ is None or inviter is None or target is None:
        return None
    return Invitation(id_, inviter, target, read_int(wire.get("seat_index")))


def grid_to_rest(grid: UTDSeatGrid) -> dict[str, object]:
    """Write a grid as `GET /seats` replies."""
    names = ("seat_index", "occupant_identity")
    return {"seat_count": grid.count, "seat_mode": grid.mode.value, **_to_wire(grid, names, int)}


def grid_to_push(grid: UTDSeatGrid) -> dict[str, object]:
    """Write a grid as `_seat_update` and room metadata `_seats` carry it."""
    names = ("index", "identity")
    return {"count": grid.count, "mode": grid.mode.value, **_to_wire(grid, names, bool)}


def _to_wire(
    grid: UTDSeatGrid, names: tuple[str, str], flag: Callable[[bool], int]
) -> dict[str, object]:
    index, identity = names
    seats = [
        {
            index: seat.index,
            identity: seat.identity,
            "locked": flag(seat.is_locked),
            "reserved_for": seat.reserved_for,
            "attributes": dict(seat.attributes),
        }
        for seat in grid.seats
    ]
    requests = [asdict(request) for request in grid.requests]
    known = without_none(mode_id=grid.mode_id, rev=grid.revision)
    return {**known, "requests": requests, "seats": seats}


def _seat_from_wire(entry: Json, position: int) -> UTDSeat:
    index = read_int(_first(entry, "seat_index", "index"))
    attributes = read_texts(entry.get("attributes"))
    name = read_text(entry.get("name"))
    if name is not None:
        attributes.setdefault("name", name)
    return UTDSeat(
        index=position if index is None else index,
        identity=read_text(_first(entry, "occupant_identity", "identity")),
        is_locked=read_bool(entry.get("locked")) or False,
        reserved_for=read_text(entry.get("reserved_for")),
        attributes=FrozenMap(attributes),
    )


def _with_attributes(seat: UTDSeat, known: UTDSeat) -> UTDSeat:
    if seat.attributes or seat.identity is None or seat.identity != known.identity:
        return seat
    return evolve(seat, attributes=known.attributes)


def _first(wire: Json, *keys: str) -> object:
    return next((wire[key] for key in keys if wire.get(key) is not None), None)
