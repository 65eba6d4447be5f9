"""`/api/v1/rooms/:room/seats` and `/speakers` (docs/contract.md, "Seats" and "Speakers")."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from utd_rx.engine.authorization import FOR_MEMBERS, FOR_MODERATORS, Callers
from utd_rx.engine.engine_clock import to_iso
from utd_rx.engine.routes.fields import ANY_NUMBER, identity_of, int_of
from utd_rx.engine.routes.mint import read_grid
from utd_rx.engine.routes.request import Answer, RoomRequest
from utd_rx.engine.rules import room_state, seat_state, speakers
from utd_rx.engine.rules.refusal import invalid
from utd_rx.engine.rules.seat_state import Changed, Reply, SeatCommand, SetUpSeats
from utd_rx.protocol.wire.seats import grid_to_rest
from utd_rx.protocol.wire.speakers import invitation_to_rest


async def get_seats(asked: RoomRequest) -> Reply:
    return grid_to_rest(asked.room.seats.grid)


async def list_requests(asked: RoomRequest) -> Reply:
    return {"requests": grid_to_rest(asked.room.seats.grid)["requests"]}


async def list_invitations(asked: RoomRequest) -> Reply:
    """Return what the caller was offered, with the seconds that are left of it.

    Our extension: a push right after a join is lost (docs/contract.md, "Lost pushes"), and unlike
    seats and requests an invitation stands in no metadata, since it is between two. A backend names
    with `?identity=` whose it asks for.
    """
    identity = asked.access.identity
    if identity is None:
        raise invalid("identity is required: whose invitations?")
    room_state.actor_of(asked.room, identity)
    now = asked.core.clock.monotonic()
    listed = speakers.invitations_of(asked.room.seats, identity, now)
    rows = [invitation_to_rest(one.invitation, expires_in=one.expires_at - now) for one in listed]
    return {"invitations": rows}


async def invite(asked: RoomRequest) -> Reply:
    target = identity_of(asked.body, "target_identity")
    index = int_of(asked.body, "seat_index", -ANY_NUMBER, ANY_NUMBER)
    return await _carry_out(
        asked, partial(speakers.invite, target=target, seat_index=index), target
    )


async def _carry_out(asked: RoomRequest, item: SeatCommand, target: str | None = None) -> Reply:
    return await asked.carry_out(partial(room_state.command_seats, item=item), target)


def _command(read: Callable[[RoomRequest], SeatCommand]) -> Answer:
    """Return what reads a command and has it carried out."""
    return lambda asked: _carry_out(asked, read(asked))


def _on_seat(command: Callable[..., Changed]) -> Answer:
    return _command(lambda asked: partial(command, index=asked.number("index")))


def _by_id(command: Callable[..., Changed]) -> Answer:
    return _command(lambda asked: partial(command, id_=asked.number("id")))


def _read_set_up(asked: RoomRequest) -> SeatCommand:
    return partial(seat_state.set_up, asked=read_grid(asked.body) or SetUpSeats())


def _read_move(asked: RoomRequest) -> SeatCommand:
    index = int_of(asked.body, "target_seat", -ANY_NUMBER, ANY_NUMBER)
    if index is None:
        raise invalid("target_seat is required")
    return partial(seat_state.move, index=index)


def _read_request(asked: RoomRequest) -> SeatCommand:
    return partial(speakers.request, created_at=to_iso(asked.core.clock.wall()))


_mute = partial(seat_state.mute, is_muted=True)
_unmute = partial(seat_state.mute, is_muted=False)


def _in_audio_room(answer: Answer) -> Answer:
    """Refuse before any field is read."""

    async def checked(asked: RoomRequest) -> Reply:
        room_state.refuse_without_seats(asked.room)
        return await answer(asked)

    return checked


_ROUTES: Final[list[tuple[str, str, Callers, Answer]]] = [
    ("GET", "/seats", FOR_MEMBERS, get_seats),
    ("POST", "/seats/setup", FOR_MODERATORS, _command(_read_set_up)),
    ("POST", "/seats/leave", FOR_MEMBERS, _command(lambda _: seat_state.leave)),
    ("POST", "/seats/move", FOR_MEMBERS, _command(_read_move)),
    ("POST", "/seats/{index}/take", FOR_MEMBERS, _on_seat(seat_state.take)),
    ("POST", "/seats/{index}/kick", FOR_MODERATORS, _on_seat(seat_state.kick)),
    ("POST", "/seats/{index}/lock", FOR_MODERATORS, _on_seat(seat_state.lock)),
    ("POST", "/seats/{index}/unlock", FOR_MODERATORS, _on_seat(seat_state.unlock)),
    ("POST", "/seats/{index}/mute", FOR_MODERATORS, _on_seat(_mute)),
    ("POST", "/seats/{index}/unmute", FOR_MODERATORS, _on_seat(_unmute)),
    ("POST", "/speakers/request", FOR_MEMBERS, _command(_read_request)),
    ("DELETE", "/speakers/request", FOR_MEMBERS, _command(lambda _: speakers.cancel)),
    ("GET", "/speakers/requests", FOR_MEMBERS, list_requests),
    ("POST", "/speakers/requests/{id}/approve", FOR_MODERATORS, _by_id(speakers.approve)),
    ("POST", "/speakers/requests/{id}/reject", FOR_MODERATORS, _by_id(speakers.reject)),
    ("POST", "/speakers/invite", FOR_MODERATORS, invite),
    ("GET", "/speakers/invitations", FOR_MEMBERS, list_invitations),
    ("POST", "/speakers/invitations/{id}/accept", FOR_MEMBERS, _by_id(speakers.accept)),
    ("POST", "/speakers/invitations/{id}/decline", FOR_MEMBERS, _by_id(speakers.decline)),
]

ROUTES: Final = [(how, path, row, _in_audio_room(do)) for how, path, row, do in _ROUTES]
"""Below `rooms/{room}`: method, path, who may, and what answers."""
