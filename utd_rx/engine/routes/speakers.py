"""`/api/v1/rooms/:room/speakers` (facts/utd-engine.md §3.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler

from utd_rx.engine.authorization import Endpoint
from utd_rx.engine.engine_clock import to_iso
from utd_rx.engine.routes.context import context_of
from utd_rx.engine.routes.fields import ANY_NUMBER, int_of, number_of, read_body
from utd_rx.engine.routes.identity import permit_room
from utd_rx.engine.rules import room_state
from utd_rx.engine.rules import speakers as rules
from utd_rx.engine.rules.effects import Effects
from utd_rx.engine.rules.names import check_identity
from utd_rx.engine.rules.refusal import invalid
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.rules.seat_commands import Actor
from utd_rx.engine.rules.speaker_commands import (
    AcceptInvitation,
    ApproveRequest,
    CancelRequest,
    DeclineInvitation,
    Invite,
    Outcome,
    RejectRequest,
    RequestSeat,
    SpeakerCommand,
)
from utd_rx.protocol.wire.reading import Json
from utd_rx.protocol.wire.seats import grid_to_rest
from utd_rx.protocol.wire.speakers import invitation_to_rest

_Read: TypeAlias = Callable[[web.Request, Json], SpeakerCommand]
_Reply: TypeAlias = Callable[[Outcome], dict[str, object]]


async def list_requests(request: web.Request) -> web.Response:
    """Return the pending requests in order."""
    call = permit_room(request, Endpoint.SPEAKERS_LIST, {})
    room_state.refuse_without_seats(call.room)
    return web.json_response({"requests": grid_to_rest(call.room.seats.grid)["requests"]})


async def list_invitations(request: web.Request) -> web.Response:
    """Return what the caller was offered, with the seconds that are left of it.

    Our extension: a push right after a join is lost (facts/utd-engine.md §7.2, 12), and unlike
    seats and requests an offer stands in no metadata, since it is between two. A backend names
    with `?identity=` whose it asks for.
    """
    call = permit_room(request, Endpoint.SPEAKERS_INVITATIONS, dict(request.query))
    room_state.refuse_without_seats(call.room)
    if call.identity is None:
        raise invalid("identity is required: whose invitations?")
    room_state.actor_of(call.room, call.identity)
    now = context_of(request).core.clock.monotonic()
    listed = rules.invitations_of(call.room.seats, call.identity, now)
    rows = [invitation_to_rest(one.invitation, expires_in=one.expires_at - now) for one in listed]
    return web.json_response({"invitations": rows})


def speaker_command(endpoint: Endpoint, read: _Read, reply: _Reply) -> Handler:
    """Return the handler that reads a command, carries it out and answers what came of it."""

    async def handle(request: web.Request) -> web.Response:
        body = await read_body(request)
        call = permit_room(request, endpoint, body)
        room_state.refuse_without_seats(call.room)
        item = read(request, body)

        def rule(room: RoomState, actor: Actor, now: float) -> tuple[RoomState, Effects, Outcome]:
            return room_state.command_speakers(room, actor, item, now)

        core = context_of(request).core
        outcome = await core.command(call, rule)
        return web.json_response(reply(outcome))

    return handle


def _read_request(request: web.Request, _: Json) -> RequestSeat:
    return RequestSeat(to_iso(context_of(request).core.clock.wall()))


def _read_invite(_: web.Request, body: Json) -> Invite:
    target = body.get("target_identity")
    if not isinstance(target, str):
        raise invalid("target_identity is required")
    index = int_of(body, "seat_index", -ANY_NUMBER, ANY_NUMBER)
    return Invite(check_identity(target, "target_identity"), index)


def _request_id(outcome: Outcome) -> dict[str, object]:
    return {"request_id": outcome.id}


def _invitation_id(outcome: Outcome) -> dict[str, object]:
    return {"invitation_id": outcome.id}


COMMANDS: Final[dict[tuple[str, str], tuple[Endpoint, _Read, _Reply]]] = {
    ("POST", "request"): (Endpoint.SPEAKERS_REQUEST, _read_request, _request_id),
    ("DELETE", "request"): (
        Endpoint.SPEAKERS_CANCEL,
        lambda _, body: CancelRequest(),
        _request_id,
    ),
    ("POST", "requests/{id}/approve"): (
        Endpoint.SPEAKERS_APPROVE,
        lambda request, _: ApproveRequest(number_of(request, "id")),
        lambda outcome: {
            "request_id": outcome.id,
            "identity": outcome.identity,
            "seat_index": outcome.seat_index,
        },
    ),
    ("POST", "requests/{id}/reject"): (
        Endpoint.SPEAKERS_REJECT,
        lambda request, _: RejectRequest(number_of(request, "id")),
        lambda outcome: {"request_id": outcome.id, "identity": outcome.identity},
    ),
    ("POST", "invite"): (Endpoint.SPEAKERS_INVITE, _read_invite, _invitation_id),
    ("POST", "invitations/{id}/accept"): (
        Endpoint.SPEAKERS_ACCEPT,
        lambda request, _: AcceptInvitation(number_of(request, "id")),
        lambda outcome: {"invitation_id": outcome.id, "seat_index": outcome.seat_index},
    ),
    ("POST", "invitations/{id}/decline"): (
        Endpoint.SPEAKERS_DECLINE,
        lambda request, _: DeclineInvitation(number_of(request, "id")),
        _invitation_id,
    ),
}
"""Method and path below `speakers/`: the row of the table, what is asked for, what is answered."""
