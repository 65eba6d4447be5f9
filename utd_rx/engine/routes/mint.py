"""`POST /api/v1/token` and `POST /api/v1/auth/session` (docs/contract.md, "Minting")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from utd_rx.engine.authorization import FOR_APPS, authorize
from utd_rx.engine.metadata import write_metadata
from utd_rx.engine.routes import fields
from utd_rx.engine.routes.http import Context, HttpReply, HttpRequest
from utd_rx.engine.routes.request import authenticate_app
from utd_rx.engine.rules import room_state
from utd_rx.engine.rules.names import check_room_name, refuse_reserved_room
from utd_rx.engine.rules.refusal import invalid
from utd_rx.engine.rules.roles import Grant, Role
from utd_rx.engine.rules.room_state import Admission
from utd_rx.engine.rules.seat_state import SetUpSeats, layout_of
from utd_rx.engine.tokens import UserClaims
from utd_rx.models.seats import UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.token import UTDSessionResponse, UTDTokenResponse
from utd_rx.protocol.wire.reading import Json
from utd_rx.protocol.wire.seats import MAX_SEATS
from utd_rx.protocol.wire.tokens import session_to_wire, token_to_wire

MAX_NAME_CHARS: Final = 256
MAX_IMAGE_CHARS: Final = 2048
MAX_MODE_ID_CHARS: Final = 64

_DEVICE_CHARS: Final[Mapping[str, int]] = {
    "device_id": 128,
    "device_model": 100,
    "os": 50,
    "os_version": 20,
    "app_version": 20,
}


async def mint(request: HttpRequest) -> HttpReply:
    """Admit somebody to a room and return where to connect and with what."""
    principal = authenticate_app(request)
    authorize(FOR_APPS, principal.caller_in(None))
    body = await fields.read_body(request)
    room, asked = read_mint(body, is_proven=principal.is_server)
    device, custom = read_device(body), fields.object_of(body, "metadata")
    context = request.context
    state, member = await context.core.mint(room, asked)
    role = room_state.role_of(state, member.identity) or member.role
    metadata = write_metadata(
        context.secrets,
        role=role,
        type=asked.type,
        serial=member.serial,
        device=device,
        image=member.image,
        custom=custom,
        layout=layout_of(state.seats.grid) if role is Role.HOST else None,
    )
    reply = UTDTokenResponse(
        token=context.tokens.sign_livekit(
            room=context.core.rooms.livekit_name(room),
            identity=member.identity,
            name=member.name,
            metadata=metadata,
            grant=room_state.grant_of(state, member.identity),
        ),
        url=context.livekit_url,
        room_name=room,
        user_token=_bearer(context, member.identity, device),
        ws_url=context.signal_url,
        role=role.value,
    )
    return HttpReply(token_to_wire(reply))


async def session(request: HttpRequest) -> HttpReply:
    """Return a bearer that is not tied to a room."""
    principal = authenticate_app(request)
    authorize(FOR_APPS, principal.caller_in(None))
    body = await fields.read_body(request)
    identity = fields.identity_of(body)
    fields.text_of(body, "name", MAX_NAME_CHARS)
    device = read_device(body)
    context = request.context
    context.core.refuse_banned(identity, None)
    reply = UTDSessionResponse(
        user_token=_bearer(context, identity, device),
        ws_url=context.signal_url,
        signaling_enabled=True,
        messaging_enabled=False,
    )
    return HttpReply(session_to_wire(reply))


def read_mint(body: Json, *, is_proven: bool) -> tuple[str, Admission]:
    """Return what a mint asks for, and in which room; `rules.room_state.admit` decides."""
    if body.get("identity") in (None, "") or body.get("room_name") in (None, ""):
        raise invalid("identity and room_name are required")
    room, identity = fields.typed(body, "room_name", str) or "", fields.identity_of(body)
    check_room_name(room)
    type_ = fields.choice_of(body, "type", UTDStreamType)
    if type_ is None:
        raise invalid("type is required")
    if type_.is_call:
        raise invalid("a call has no token of its own; POST /api/v1/calls makes both")
    refuse_reserved_room(room)
    role = fields.choice_of(body, "role", Role)
    admission = Admission(
        identity=identity,
        type=type_,
        role=role or Role.AUDIENCE,
        owner=fields.text_of(body, "room_owner_id", 128),
        is_proven=is_proven,
        name=fields.text_of(body, "name", MAX_NAME_CHARS),
        image=fields.text_of(body, "image", MAX_IMAGE_CHARS),
        seats=read_grid(body),
        override=_read_permissions(body) if is_proven and role is None else None,
    )
    return room, admission


def read_grid(body: Json) -> SetUpSeats | None:
    """Read the fields that make or change a grid; None when there are none."""
    asked = SetUpSeats(
        count=fields.int_of(body, "seat_count", 1, MAX_SEATS),
        mode=fields.choice_of(body, "seat_mode", UTDSeatMode),
        mode_id=fields.text_of(body, "mode_id", MAX_MODE_ID_CHARS),
        host_seat=fields.int_of(body, "host_seat", 0, MAX_SEATS - 1),
    )
    return None if asked == SetUpSeats() else asked


def read_device(body: Json) -> dict[str, str]:
    """Return what the mint says of the device (docs/contract.md, "Minting")."""
    found = {key: fields.text_of(body, key, longest) for key, longest in _DEVICE_CHARS.items()}
    return {key: text for key, text in found.items() if text is not None}


def _read_permissions(body: Json) -> Grant | None:
    wanted = fields.object_of(body, "permissions")
    if not wanted:
        return None
    return Grant(
        can_publish=fields.flag_of(wanted, "canPublish", default=False),
        can_subscribe=fields.flag_of(wanted, "canSubscribe", default=True),
        can_publish_data=fields.flag_of(wanted, "canPublishData", default=True),
    )


def _bearer(context: Context, identity: str, device: Mapping[str, str]) -> str:
    bearer = UserClaims(identity, device.get("device_id"))
    return context.tokens.sign_bearer(bearer, context.core.clock.wall())
