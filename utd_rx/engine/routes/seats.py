"""`/api/v1/rooms/:room/seats` (docs/contract.md, "Seats").

Every command but `move` answers with the grid as it is after it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from utd_rx.engine.authorization import Endpoint
from utd_rx.engine.routes.fields import ANY_NUMBER, int_of
from utd_rx.engine.routes.mint import read_grid
from utd_rx.engine.routes.request import Answer, RoomRequest
from utd_rx.engine.rules import commands, room_state
from utd_rx.engine.rules.commands import Actor, SeatCommand
from utd_rx.engine.rules.effects import Effects
from utd_rx.engine.rules.refusal import invalid
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.models.seats import UTDSeatGrid
from utd_rx.protocol.wire.seats import grid_to_rest

_Reply: TypeAlias = Callable[[UTDSeatGrid, UTDSeatGrid, Actor], dict[str, object]]
"""What to answer, by the grid before and after, and who acted."""


async def get_seats(asked: RoomRequest) -> dict[str, object]:
    room_state.refuse_without_seats(asked.room)
    return grid_to_rest(asked.room.seats.grid)


def _grid(before: UTDSeatGrid, after: UTDSeatGrid, actor: Actor) -> dict[str, object]:
    return grid_to_rest(after)


def _from_to(before: UTDSeatGrid, after: UTDSeatGrid, actor: Actor) -> dict[str, object]:
    seats = [grid.seat_of(actor.identity or "") for grid in (before, after)]
    old, new = (None if seat is None else seat.index for seat in seats)
    return {"from": old, "to": new}


def _command(read: Callable[[RoomRequest], SeatCommand], reply: _Reply = _grid) -> Answer:
    """Return what reads a command and has it carried out."""

    async def answer(asked: RoomRequest) -> dict[str, object]:
        room_state.refuse_without_seats(asked.room)
        item = read(asked)

        def rule(
            room: RoomState, actor: Actor, now: float
        ) -> tuple[RoomState, Effects, dict[str, object]]:
            found, effects = room_state.command_seats(room, actor, item, now)
            return found, effects, reply(room.seats.grid, found.seats.grid, actor)

        return await asked.carry_out(rule)

    return answer


def _on_seat(command: Callable[[int], SeatCommand]) -> Answer:
    return _command(lambda asked: command(asked.number("index")))


def _read_move(asked: RoomRequest) -> commands.MoveSeat:
    target = int_of(asked.body, "target_seat", -ANY_NUMBER, ANY_NUMBER)
    if target is None:
        raise invalid("target_seat is required")
    return commands.MoveSeat(target)


ROUTES: Final[dict[str, tuple[Endpoint, Answer]]] = {
    "setup": (
        Endpoint.SEATS_SETUP,
        _command(lambda it: read_grid(it.body) or commands.SetUpSeats()),
    ),
    "leave": (Endpoint.SEATS_LEAVE, _command(lambda it: commands.LeaveSeat())),
    "move": (Endpoint.SEATS_MOVE, _command(_read_move, _from_to)),
    "{index}/take": (Endpoint.SEATS_TAKE, _on_seat(commands.TakeSeat)),
    "{index}/kick": (Endpoint.SEATS_KICK, _on_seat(commands.KickSeat)),
    "{index}/lock": (Endpoint.SEATS_LOCK, _on_seat(commands.LockSeat)),
    "{index}/unlock": (Endpoint.SEATS_UNLOCK, _on_seat(commands.UnlockSeat)),
    "{index}/mute": (Endpoint.SEATS_MUTE, _on_seat(partial(commands.MuteSeat, is_muted=True))),
    "{index}/unmute": (Endpoint.SEATS_UNMUTE, _on_seat(partial(commands.MuteSeat, is_muted=False))),
}
"""What is posted below `seats/`."""
