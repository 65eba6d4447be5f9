"""`/api/v1/rooms/:room/speakers` (docs/contract.md, "Speakers")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from utd_rx.engine.authorization import Endpoint
from utd_rx.engine.engine_clock import to_iso
from utd_rx.engine.routes.fields import ANY_NUMBER, identity_of, int_of
from utd_rx.engine.routes.request import Answer, RoomRequest
from utd_rx.engine.rules import commands, room_state
from utd_rx.engine.rules import speakers as rules
from utd_rx.engine.rules.commands import SpeakerCommand
from utd_rx.engine.rules.refusal import invalid
from utd_rx.protocol.wire.seats import grid_to_rest
from utd_rx.protocol.wire.speakers import invitation_to_rest


async def list_requests(asked: RoomRequest) -> dict[str, object]:
    """Return the pending requests in order."""
    room_state.refuse_without_seats(asked.room)
    return {"requests": grid_to_rest(asked.room.seats.grid)["requests"]}


async def list_invitations(asked: RoomRequest) -> dict[str, object]:
    """Return what the caller was offered, with the seconds that are left of it.

    Our extension: a push right after a join is lost (docs/contract.md, "Lost pushes"), and unlike
    seats and requests an invitation stands in no metadata, since it is between two. A backend names
    with `?identity=` whose it asks for.
    """
    room_state.refuse_without_seats(asked.room)
    identity = asked.access.identity
    if identity is None:
        raise invalid("identity is required: whose invitations?")
    room_state.actor_of(asked.room, identity)
    now = asked.core.clock.monotonic()
    listed = rules.invitations_of(asked.room.seats, identity, now)
    rows = [invitation_to_rest(one.invitation, expires_in=one.expires_at - now) for one in listed]
    return {"invitations": rows}


def _command(read: Callable[[RoomRequest], SpeakerCommand], *shown: str) -> Answer:
    """Return what reads a command, has it carried out and answers what is `shown` of it."""

    async def answer(asked: RoomRequest) -> dict[str, object]:
        room_state.refuse_without_seats(asked.room)
        item = read(asked)
        outcome = await asked.carry_out(
            lambda room, actor, now: room_state.command_speakers(room, actor, item, now),
            item.target if isinstance(item, commands.Invite) else None,
        )
        return {key: getattr(outcome, _FIELDS.get(key, key)) for key in shown}

    return answer


_FIELDS: Final = {"request_id": "id", "invitation_id": "id"}


def _by_id(command: Callable[[int], SpeakerCommand], *shown: str) -> Answer:
    return _command(lambda asked: command(asked.number("id")), *shown)


def _read_request(asked: RoomRequest) -> commands.RequestSeat:
    return commands.RequestSeat(to_iso(asked.core.clock.wall()))


def _read_invite(asked: RoomRequest) -> commands.Invite:
    target = identity_of(asked.body, "target_identity")
    return commands.Invite(target, int_of(asked.body, "seat_index", -ANY_NUMBER, ANY_NUMBER))


ROUTES: Final[dict[tuple[str, str], tuple[Endpoint, Answer]]] = {
    ("POST", "request"): (Endpoint.SPEAKERS_REQUEST, _command(_read_request, "request_id")),
    ("DELETE", "request"): (
        Endpoint.SPEAKERS_CANCEL,
        _command(lambda it: commands.CancelRequest(), "request_id"),
    ),
    ("GET", "requests"): (Endpoint.SPEAKERS_LIST, list_requests),
    ("POST", "requests/{id}/approve"): (
        Endpoint.SPEAKERS_APPROVE,
        _by_id(commands.ApproveRequest, "request_id", "identity", "seat_index"),
    ),
    ("POST", "requests/{id}/reject"): (
        Endpoint.SPEAKERS_REJECT,
        _by_id(commands.RejectRequest, "request_id", "identity"),
    ),
    ("POST", "invite"): (Endpoint.SPEAKERS_INVITE, _command(_read_invite, "invitation_id")),
    ("GET", "invitations"): (Endpoint.SPEAKERS_INVITATIONS, list_invitations),
    ("POST", "invitations/{id}/accept"): (
        Endpoint.SPEAKERS_ACCEPT,
        _by_id(commands.AcceptInvitation, "invitation_id", "seat_index"),
    ),
    ("POST", "invitations/{id}/decline"): (
        Endpoint.SPEAKERS_DECLINE,
        _by_id(commands.DeclineInvitation, "invitation_id"),
    ),
}
"""By method and path below `speakers/`."""
