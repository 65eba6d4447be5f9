"""Bans (docs/contract.md, "Bans").

A body's `identity` is the target here, and the actor everywhere else.
"""

from __future__ import annotations

from typing import Final

from utd_rx.engine.authorization import FOR_MODERATORS, FOR_SECRET
from utd_rx.engine.engine_clock import to_iso
from utd_rx.engine.routes import fields
from utd_rx.engine.routes.http import HttpReply, HttpRequest
from utd_rx.engine.routes.request import acting_identity, authenticate, permit
from utd_rx.engine.rules import room_state
from utd_rx.engine.rules.gate import Ban
from utd_rx.engine.rules.names import check_room_name
from utd_rx.engine.rules.refusal import forbidden, invalid
from utd_rx.engine.rules.roles import MODERATORS
from utd_rx.models.ban import UTDBan
from utd_rx.protocol.wire.moderation import ban_to_wire
from utd_rx.protocol.wire.reading import Json

MAX_REASON_CHARS: Final = 500
MAX_DURATION_SECONDS: Final = 10 * 365 * 24 * 3600


async def ban(request: HttpRequest) -> HttpReply:
    target, room, body = await _read_scope(request)
    reason = fields.text_of(body, "reason", MAX_REASON_CHARS)
    duration = fields.int_of(body, "duration", 1, MAX_DURATION_SECONDS)
    context = request.context
    core, now = context.core, context.core.clock.wall()
    ends = None if duration is None else now + duration
    # `EngineCore.ban` awaits nothing before the ban holds: what was let pass is still allowed, and
    # no socket comes back in between.
    if room is None:
        core.calls.evict(target)  # who is banned hears of it, too, before the socket closes
        context.hub.evict(target)
    entry = await core.ban(Ban(0, target, now, room, reason, ends))
    return HttpReply(_to_wire(entry), status=201)


async def unban(request: HttpRequest) -> HttpReply:
    """Lift a ban; lifting what is not there is fine."""
    target, room, _ = await _read_scope(request)
    lifted = request.context.core.unban(target, room)
    return HttpReply({"identity": target, "room_name": room, "lifted": lifted})


async def list_bans(request: HttpRequest) -> HttpReply:
    """Return the active bans: all of them to the backend, to a bearer those of its own rooms."""
    page, per_page = fields.page_of(request.query)
    core = request.context.core
    room = request.query.get("room_name") or None
    principal, wall = authenticate(request), core.clock.wall()
    identity = principal.identity
    if room is not None and not principal.is_server:
        core.permit(FOR_MODERATORS, principal, await core.find(room, identity))
        found = core.gate.active_bans(wall, room)
    elif identity is not None:
        core.refuse_banned(identity, None)
        rooms = core.rooms.all().items()
        mine = {name for name, it in rooms if room_state.role_of(it, identity) in MODERATORS}
        if not mine:
            raise forbidden("only hosts and admins see the bans of their rooms")
        found = tuple(entry for entry in core.gate.active_bans(wall) if entry.room in mine)
    else:
        permit(request, FOR_SECRET)
        found = core.gate.active_bans(wall, room)
    rows = [_to_wire(entry) for entry in found]
    return HttpReply(fields.page_to_wire(rows, page, per_page))


async def _read_scope(request: HttpRequest) -> tuple[str, str | None, Json]:
    """Check who asks; returns whom it is about, in which room (None: the project), and the body."""
    principal = authenticate(request)
    body = await fields.read_body(request)
    room = fields.typed(body, "room_name", str)
    if room is not None:
        check_room_name(room)
    # Only what is not there means the project: an empty name is one that somebody forgot. A backend
    # may ban somebody from a room before anybody opened it.
    if room is None or principal.is_server:
        permit(request, FOR_SECRET)
        return fields.identity_of(body), room, body
    core = request.context.core
    state = await core.find(room, principal.identity)
    core.permit(FOR_MODERATORS, principal, state)
    actor = acting_identity(principal, {"actor_identity": body.get("actor_identity")})
    target = fields.identity_of(body)
    if actor is not None and room_state.actor_of(state, actor).is_admin and target == state.owner:
        raise forbidden("an admin cannot act on the host")
    if target == actor:
        raise invalid("you cannot ban yourself")
    return target, room, body


def _to_wire(entry: Ban) -> dict[str, object]:
    public = UTDBan(
        identity=entry.identity,
        id=entry.id,
        name=entry.name,
        room_name=entry.room,
        reason=entry.reason,
        banned_at=to_iso(entry.banned_at),
        expires_at=None if entry.expires_at is None else to_iso(entry.expires_at),
    )
    return ban_to_wire(public)
