"""`/api/v1/rooms/:room/participants` (facts/utd-engine.md §3.6, §7.1)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from utd_rx.engine.access import RoomAccess
from utd_rx.engine.authorization import Endpoint
from utd_rx.engine.engine_clock import to_iso
from utd_rx.engine.media import MediaParticipant
from utd_rx.engine.routes.context import context_of
from utd_rx.engine.routes.fields import (
    choice_of,
    flag_of,
    page_of,
    page_to_wire,
    read_body,
    required_object_of,
    text_of,
)
from utd_rx.engine.routes.identity import authenticate, permit_room, target_of
from utd_rx.engine.rules import moderation
from utd_rx.engine.rules import room_state as rules
from utd_rx.engine.rules.effects import Effects
from utd_rx.engine.rules.moderation import ChangeGrant
from utd_rx.engine.rules.refusal import invalid, not_found
from utd_rx.engine.rules.roles import ROLES, Grant, Role
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.rules.seat_commands import Actor
from utd_rx.models.participant import TrackSource
from utd_rx.protocol.wire.moderation import RoleChange, role_change_to_wire
from utd_rx.protocol.wire.reading import Json

MAX_SID_CHARS: Final = 128
_SOURCES: Final = {
    source.name.lower(): source for source in TrackSource if source is not TrackSource.UNKNOWN
}


async def get_participant(request: web.Request) -> web.Response:
    """Return one participant, with metadata and permission."""
    call = permit_room(request, Endpoint.PARTICIPANT_GET, {})
    core = context_of(request).core
    identity = target_of(request)
    found = await core.media.get_participant(core.rooms.livekit_name(call.name), identity)
    if found is None:
        raise not_found(f"{identity!r} is not in this room")
    return web.json_response(
        {
            **participant_to_wire(call.room, found),
            "metadata": found.metadata,
            "attributes": dict(found.attributes),
            "permission": _grant_to_wire(found.grant),
        }
    )


async def list_by_role(request: web.Request) -> web.Response:
    """Return who is connected, by role: those of `role`, everybody without it."""
    call = permit_room(request, Endpoint.PARTICIPANTS_BY_ROLE, {})
    page, per_page = page_of(request)
    wanted = request.query.get("role") or None
    if wanted is not None and wanted not in ROLES:
        raise invalid(f"role must be one of {', '.join(ROLES)}")
    core = context_of(request).core
    rows: list[dict[str, object]] = []
    for who in await core.media.list_participants(core.rooms.livekit_name(call.name)):
        role = rules.role_of(call.room, who.identity)
        if role is not None and wanted in (None, role.value):
            rows.append(
                {
                    "identity": who.identity,
                    "name": who.name,
                    "role": role.value,
                    "attributes": dict(who.attributes),
                }
            )
    return web.json_response(page_to_wire(rows, page, per_page))


async def kick_participant(request: web.Request) -> web.Response:
    """Throw somebody out; they may mint again."""
    call = permit_room(request, Endpoint.PARTICIPANT_KICK, await read_body(request))
    target = target_of(request)
    await context_of(request).core.kick(call, target)
    return web.json_response({"identity": target, "kicked": True})


async def mute_participant(request: web.Request) -> web.Response:
    """Mute or unmute somebody's audio, video, or one track."""
    body = await read_body(request)
    call = permit_room(request, Endpoint.PARTICIPANT_MUTE, body)
    target = target_of(request)
    is_muted = flag_of(body, "muted", default=True)
    sid = text_of(body, "track_sid", MAX_SID_CHARS)
    # Audio unless told otherwise: what one mutes a speaker for.
    flags = (("audio", "video" not in body), ("video", False))
    kinds = tuple(key for key, default in flags if flag_of(body, key, default=default))

    def rule(room: RoomState, actor: Actor, now: float) -> tuple[RoomState, Effects, None]:
        room, effects = moderation.mute(
            room, actor, target, is_muted=is_muted, kinds=kinds, sid=sid
        )
        return room, effects, None

    core = context_of(request).core
    await core.command(call, rule)
    return web.json_response({"identity": target, "muted": is_muted})


async def set_role(request: web.Request) -> web.Response:
    """Give somebody a role."""
    body = await read_body(request)
    call = permit_room(request, Endpoint.PARTICIPANT_ROLE, body)
    target = target_of(request)
    role = choice_of(body, "role", Role)
    if role is None:
        raise invalid("role is required")

    def rule(room: RoomState, actor: Actor, now: float) -> tuple[RoomState, Effects, RoleChange]:
        return moderation.set_role(room, actor, target, role)

    core = context_of(request).core
    change = await core.command(call, rule)
    return web.json_response(role_change_to_wire(change))


async def set_metadata(request: web.Request) -> web.Response:
    """Replace the app's own part of somebody's metadata; the server's keys stay."""
    body = await read_body(request)
    call, target = _permit_own(request, body)
    custom = required_object_of(body, "metadata")
    metadata = await context_of(request).core.set_metadata(call, target, custom)
    return web.json_response({"identity": target, "metadata": metadata})


async def set_permissions(request: web.Request) -> web.Response:
    """Change what somebody may do beyond what seat and role say."""
    body = await read_body(request)
    call = permit_room(request, Endpoint.PARTICIPANT_PERMISSIONS, body)
    target = target_of(request)
    change = _read_permissions(body)

    def rule(room: RoomState, actor: Actor, now: float) -> tuple[RoomState, Effects, Grant]:
        return moderation.change_grant(room, target, change)

    core = context_of(request).core
    grant = await core.command(call, rule)
    return web.json_response({"identity": target, "permission": _grant_to_wire(grant)})


async def forbid_stream(request: web.Request) -> web.Response:
    """Forbid somebody to publish until `resume_stream`; in an audio room they lose the seat."""
    call = permit_room(request, Endpoint.PARTICIPANT_FORBID, await read_body(request))
    target = target_of(request)

    def rule(room: RoomState, actor: Actor, now: float) -> tuple[RoomState, Effects, None]:
        return *moderation.silence(room, target, now), None

    core = context_of(request).core
    await core.command(call, rule)
    return web.json_response({"identity": target, "forbidden": True})


async def resume_stream(request: web.Request) -> web.Response:
    """Let somebody publish again as far as seat or role allow."""
    call = permit_room(request, Endpoint.PARTICIPANT_RESUME, await read_body(request))
    target = target_of(request)

    def rule(room: RoomState, actor: Actor, now: float) -> tuple[RoomState, Effects, None]:
        return *moderation.unsilence(room, target), None

    core = context_of(request).core
    await core.command(call, rule)
    return web.json_response({"identity": target, "forbidden": False})


def participant_to_wire(room: RoomState, participant: MediaParticipant) -> dict[str, object]:
    """Write what lists show of a participant."""
    role = rules.role_of(room, participant.identity)
    return {
        "identity": participant.identity,
        "name": participant.name,
        "role": None if role is None else role.value,
        "state": participant.state,
        "joined_at": to_iso(participant.joined_at) if participant.joined_at else None,
        "tracks": [
            {
                "sid": track.sid,
                "type": track.kind,
                "source": track.source.name.lower(),
                "muted": track.is_muted,
                **({"width": track.width, "height": track.height} if track.width else {}),
            }
            for track in participant.tracks
        ],
    }


def _permit_own(request: web.Request, body: Json) -> tuple[RoomAccess, str]:
    """Everybody writes their own metadata, a backend anybody's."""
    bearer = authenticate(request).bearer
    is_own = bearer is not None and request.match_info["identity"] == bearer.identity
    endpoint = Endpoint.PARTICIPANT_METADATA_OWN if is_own else Endpoint.PARTICIPANT_METADATA
    return permit_room(request, endpoint, body), target_of(request)


def _read_permissions(body: Json) -> ChangeGrant:
    if body.get("hidden"):
        raise invalid("the local engine hides nobody")
    flags = {
        key: flag_of(body, key, default=False) if body.get(key) is not None else None
        for key in ("can_publish", "can_subscribe", "can_publish_data")
    }
    names = body.get("can_publish_sources")
    sources = None
    if names is not None:
        if not isinstance(names, list) or not all(
            isinstance(name, str) and name in _SOURCES for name in names
        ):
            raise invalid(f"can_publish_sources must be a list of {', '.join(_SOURCES)}")
        sources = tuple(_SOURCES[name] for name in names)
    return ChangeGrant(**flags, sources=sources)


def _grant_to_wire(grant: Grant) -> dict[str, object]:
    return {
        "canPublish": grant.can_publish,
        "canSubscribe": grant.can_subscribe,
        "canPublishData": grant.can_publish_data,
    }
