"""`/api/v1/rooms/:room/seats` (facts/utd-engine.md §3.3).

Every command but `move` answers with the grid as it is after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from utd_rx.engine.authorization import Endpoint
from utd_rx.engine.routes.context import context_of
from utd_rx.engine.routes.fields import ANY_NUMBER, int_of, number_of, read_body
from utd_rx.engine.routes.identity import permit_room
from utd_rx.engine.routes.mint import read_grid
from utd_rx.engine.rules import room_state
from utd_rx.engine.rules.effects import Effects
from utd_rx.engine.rules.refusal import invalid
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.rules.seat_commands import (
    Actor,
    KickSeat,
    LeaveSeat,
    LockSeat,
    MoveSeat,
    MuteSeat,
    SeatCommand,
    SetUpSeats,
    TakeSeat,
    UnlockSeat,
)
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.protocol.wire.reading import Json
from utd_rx.protocol.wire.seats import grid_to_rest


async def get_seats(request: web.Request) -> web.Response:
    """Return the grid."""
    call = permit_room(request, Endpoint.SEATS_GET, {})
    room_state.refuse_without_seats(call.room)
    return web.json_response(grid_to_rest(call.room.seats.grid))


async def move_seat(request: web.Request) -> web.Response:
    """Change to another seat; answers `{from, to}`."""
    body = await read_body(request)
    who, before, after = await _carry_out(request, Endpoint.SEATS_MOVE, body, _move)
    return web.json_response({"from": _index_of(before, who), "to": _index_of(after, who)})


def seat_command(endpoint: Endpoint, read: Callable[[web.Request, Json], SeatCommand]) -> Handler:
    """Return the handler that reads a command, carries it out and answers with the grid."""

    async def handle(request: web.Request) -> web.Response:
        body = await read_body(request)
        _, _, after = await _carry_out(request, endpoint, body, read)
        return web.json_response(grid_to_rest(after))

    return handle


async def _carry_out(
    request: web.Request,
    endpoint: Endpoint,
    body: Json,
    read: Callable[[web.Request, Json], SeatCommand],
) -> tuple[str | None, UTDSeatGrid, UTDSeatGrid]:
    """Return who acted, and the grid before and after."""
    call = permit_room(request, endpoint, body)
    room_state.refuse_without_seats(call.room)
    item = read(request, body)

    def rule(
        room: RoomState, actor: Actor, now: float
    ) -> tuple[RoomState, Effects, tuple[UTDSeatGrid, UTDSeatGrid]]:
        found, effects = room_state.command_seats(room, actor, item, now)
        return found, effects, (room.seats.grid, found.seats.grid)

    core = context_of(request).core
    return call.identity, *await core.command(call, rule)


def _index_of(grid: UTDSeatGrid, identity: str | None) -> int | None:
    seat = None if identity is None else grid.seat_of(identity)
    return None if seat is None else seat.index


def _move(request: web.Request, body: Json) -> MoveSeat:
    target = int_of(body, "target_seat", -ANY_NUMBER, ANY_NUMBER)
    if target is None:
        raise invalid("target_seat is required")
    return MoveSeat(target)


COMMANDS: Final[dict[str, tuple[Endpoint, Callable[[web.Request, Json], SeatCommand]]]] = {
    "setup": (Endpoint.SEATS_SETUP, lambda _, body: read_grid(body) or SetUpSeats()),
    "leave": (Endpoint.SEATS_LEAVE, lambda _, body: LeaveSeat()),
    "{index}/take": (Endpoint.SEATS_TAKE, lambda request, _: TakeSeat(number_of(request, "index"))),
    "{index}/kick": (Endpoint.SEATS_KICK, lambda request, _: KickSeat(number_of(request, "index"))),
    "{index}/lock": (Endpoint.SEATS_LOCK, lambda request, _: LockSeat(number_of(request, "index"))),
    "{index}/unlock": (
        Endpoint.SEATS_UNLOCK,
        lambda request, _: UnlockSeat(number_of(request, "index")),
    ),
    "{index}/mute": (
        Endpoint.SEATS_MUTE,
        lambda request, _: MuteSeat(number_of(request, "index"), is_muted=True),
    ),
    "{index}/unmute": (
        Endpoint.SEATS_UNMUTE,
        lambda request, _: MuteSeat(number_of(request, "index"), is_muted=False),
    ),
}
"""The path below `seats/`, the row of the table, and what the request asks for."""
