"""The seats of an audio room (facts/utd-engine.md §3.3)."""

from __future__ import annotations

from utd_rx.models.seats import UTDSeatGrid, UTDSeatMode
from utd_rx.protocol.wire.reading import Json
from utd_rx.protocol.wire.seats import grid_from_wire
from utd_rx.rest.checks import checked_grid, checked_room, checked_seat
from utd_rx.rest.endpoints import Endpoints
from utd_rx.rest.failures import malformed
from utd_rx.rest.urls import path_of


class SeatEndpoints(Endpoints):
    """Reading and changing seats.

    What became of the grid comes by push or `get_seats`; muting, which no grid shows, returns the
    grid it was done in, where the engine answers with one. No command is sent twice; a second
    `take` of a seat that the first one got would fail with `CONFLICT`.
    """

    async def get_seats(self, room: str) -> UTDSeatGrid:
        """Return the grid; repeats."""
        return _grid(await self._engine.get(_seats(room), bearer=self._bearer))

    async def setup_seats(
        self,
        room: str,
        *,
        seat_count: int | None = None,
        seat_mode: UTDSeatMode | str | None = None,
        mode_id: str | None = None,
    ) -> UTDSeatGrid:
        """Configure the grid (hosts and admins) and return it; what is None stays as it is."""
        body = checked_grid(seat_count, seat_mode, mode_id)
        return _grid(await self._engine.post(_seats(room, "setup"), body, bearer=self._bearer))

    async def take_seat(self, room: str, index: int) -> None:
        """Sit down on `index`, which grants publishing."""
        await self._on_seat(room, index, "take")

    async def leave_seat(self, room: str) -> None:
        """Get up, which revokes publishing; without a seat nothing happens (§7.4, 25)."""
        await self._engine.post(_seats(room, "leave"), bearer=self._bearer)

    async def move_seat(self, room: str, target: int) -> None:
        """Change to seat `target` without losing the right to publish in between."""
        body = {"target_seat": checked_seat(target, "target seat")}
        await self._engine.post(_seats(room, "move"), body, bearer=self._bearer)

    async def kick_seat(self, room: str, index: int) -> None:
        """Make the occupant get up (hosts and admins)."""
        await self._on_seat(room, index, "kick")

    async def lock_seat(self, room: str, index: int) -> None:
        """Close the seat, which first kicks its occupant (hosts and admins)."""
        await self._on_seat(room, index, "lock")

    async def unlock_seat(self, room: str, index: int) -> None:
        """Open the seat again (hosts and admins)."""
        await self._on_seat(room, index, "unlock")

    async def mute_seat(self, room: str, index: int) -> UTDSeatGrid | None:
        """Mute the occupant's microphone on the media server (hosts and admins)."""
        return _grid_or_none(await self._on_seat(room, index, "mute"))

    async def unmute_seat(self, room: str, index: int) -> UTDSeatGrid | None:
        """Unmute the occupant's microphone; 409 where the media server forbids it (§7.2, 18)."""
        return _grid_or_none(await self._on_seat(room, index, "unmute"))

    async def _on_seat(self, room: str, index: int, verb: str) -> Json:
        path = _seats(room, checked_seat(index), verb)
        return await self._engine.post(path, bearer=self._bearer)


def _seats(room: str, *rest: str | int) -> str:
    return path_of("rooms", checked_room(room), "seats", *rest)


def _grid(wire: Json) -> UTDSeatGrid:
    grid = _grid_or_none(wire)
    if grid is None:
        raise malformed("the engine's reply is no seat grid")
    return grid


def _grid_or_none(wire: Json) -> UTDSeatGrid | None:
    # Each of the three may be missing, but an object with none of them is no grid, and reading
    # it as one would clear the room.
    has_seats = any(key in wire for key in ("seats", "seat_count", "count"))
    return grid_from_wire(wire) if has_seats else None
