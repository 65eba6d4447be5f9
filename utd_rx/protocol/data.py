"""Data messages and room metadata of the engine, decoded into facts (facts/utd-engine.md §3.8).

The engine's messages are JSON objects whose `type` starts with `_`, and they have no sender. One
that has a sender is a participant's forgery and means nothing. One that has none is not proven
either: LiveKit names no sender for a participant it does not know yet, for about 3 s after a
join. So a message of the engine is a hint, and what it speaks of is read where only the engine
can write: room metadata, or its REST interface.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from utd_rx.models.events import DataReceived
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.protocol.facts import SeatGridHinted, SeatGridReceived
from utd_rx.protocol.wire.reading import Json, parse_object, read_object, read_text
from utd_rx.protocol.wire.seats import grid_from_wire

MAX_ENGINE_MESSAGE: Final = 65_535
"""Bytes; the SFU's read buffer is no larger (facts/livekit.md §7.3)."""


def _seat_update(wire: Json, previous: UTDSeatGrid) -> object:
    return SeatGridHinted(grid_from_wire(wire, previous=previous))


DECODERS: Final[dict[str, Callable[[Json, UTDSeatGrid], object]]] = {
    "_seat_update": _seat_update,
}
"""The engine's message types this client understands; the others are for the app to see."""


def decode(event: DataReceived, *, previous: UTDSeatGrid) -> object | None:
    """Return what a message without a sender hints at, None for any other message."""
    if event.sender is not None or len(event.payload) > MAX_ENGINE_MESSAGE:
        return None
    wire = parse_object(event.payload)
    if wire is None:
        return None
    decoder = DECODERS.get(read_text(wire.get("type")) or "")
    return None if decoder is None else decoder(wire, previous)


def is_forged(event: DataReceived) -> bool:
    """Whether a participant sent a message of a type that only the engine may send."""
    if event.sender is None or not event.payload.lstrip().startswith(b"{"):
        return False
    wire = parse_object(event.payload)
    return wire is not None and (read_text(wire.get("type")) or "") in DECODERS


def seats_in_metadata(metadata: str, *, previous: UTDSeatGrid) -> SeatGridReceived | None:
    """Return the grid that room metadata carries under `_seats`, None when it carries none."""
    wire = parse_object(metadata) if metadata else None
    seats = read_object((wire or {}).get("_seats"))
    return SeatGridReceived(grid_from_wire(seats, previous=previous)) if seats else None
