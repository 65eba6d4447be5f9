"""Rooms, their participants, and the project (facts/utd-engine.md §3.6)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from utd_rx.engine.authorization import Endpoint
from utd_rx.engine.clock import to_iso
from utd_rx.engine.media import EMPTY_ROOM_SECONDS, MediaParticipant, MediaRoom
from utd_rx.engine.routes.context import context_of
from utd_rx.engine.routes.fields import page_of, page_to_wire, read_body
from utd_rx.engine.routes.identity import permit, permit_room, target_of
from utd_rx.engine.rules import rooms as rules
from utd_rx.engine.rules.refusal import not_found
from utd_rx.engine.rules.rooms import Room

_NO_LIMIT: Final = 0
"""LiveKit's spelling of "as many as you like"; the local engine limits neither."""


async def list_rooms(request: web.Request) -> web.Response:
    """Return the active rooms, newest first."""
    permit(request, Endpoint.ROOMS_LIST)
    page, per_page = page_of(request)
    hub = context_of(request).hub
    known = hub.rooms.all()
    found = sorted(
        (room for room in await hub.media.list_rooms() if room.name in known),
        key=lambda room: (room.created_at, room.sid),
        reverse=True,
    )
    rows = [_room_to_wire(known[room.name], room) for room in found]
    return web.json_response(page_to_wire(rows, page, per_page))


async def get_room(request: web.Request) -> web.Response:
    """Return a room and who is in it."""
    call = permit_room(request, Endpoint.ROOM_GET, {})
    hub = context_of(request).hub
    livekit_name = hub.rooms.livekit_name(call.name)
    media = next((r for r in await hub.media.list_rooms() if r.name == livekit_name), None)
    participants = await hub.media.list_participants(livekit_name)
    return web.json_response(
        {
            **_room_to_wire(call.room, media or MediaRoom(livekit_name, "")),
            "participants": [
                _participant_to_wire(call.room, participant) for participant in participants
            ],
        }
    )


async def delete_room(request: web.Request) -> web.Response:
    """Close a room for everybody in it."""
    call = permit_room(request, Endpoint.ROOM_DELETE, await read_body(request))
    await context_of(request).hub.delete_room(call.name)
    return web.json_response({"room_name": call.name, "deleted": True})


async def get_participant(request: web.Request) -> web.Response:
    """Return one participant, with metadata and permission."""
    call = permit_room(request, Endpoint.PARTICIPANT_GET, {})
    hub = context_of(request).hub
    identity = target_of(request)
    found = await hub.media.get_participant(hub.rooms.livekit_name(call.name), identity)
    if found is None:
        raise not_found(f"{identity!r} is not in this room")
    return web.json_response(
        {
            **_participant_to_wire(call.room, found),
            "metadata": found.metadata,
            "attributes": dict(found.attributes),
            "permission": {
                "canPublish": found.grant.can_publish,
                "canSubscribe": found.grant.can_subscribe,
                "canPublishData": found.grant.can_publish_data,
            },
        }
    )


async def kick_participant(request: web.Request) -> web.Response:
    """Throw somebody out; they may mint again."""
    call = permit_room(request, Endpoint.PARTICIPANT_KICK, await read_body(request))
    target = target_of(request)
    await context_of(request).hub.kick(call.name, call.actor, target)
    return web.json_response({"identity": target, "kicked": True})


async def get_project(request: web.Request) -> web.Response:
    """Return what this project may do."""
    permit(request, Endpoint.PROJECT)
    context = context_of(request)
    return web.json_response(
        {
            "name": "utd-rx local engine",
            "app_id": context.secrets.app_id,
            "status": "active",
            "region": "local",
            "max_concurrent_rooms": _NO_LIMIT,
            "max_participants_per_room": _NO_LIMIT,
            "audio_enabled": True,
            "video_enabled": True,
            "empty_room_timeout": EMPTY_ROOM_SECONDS,
            "calls_enabled": False,
            "active_rooms": len(context.hub.rooms.all()),
        }
    )


async def get_health(request: web.Request) -> web.Response:
    """Say that the engine runs."""
    return web.json_response({"status": "ok"})


def _room_to_wire(room: Room, media: MediaRoom) -> dict[str, object]:
    return {
        "id": media.sid,
        "room_name": room.name,
        "type": room.type.value,
        "participant_count": media.participant_count,
        "max_participants": media.max_participants,
        "started_at": to_iso(media.created_at) if media.created_at else None,
        "metadata": media.metadata,
    }


def _participant_to_wire(room: Room, participant: MediaParticipant) -> dict[str, object]:
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
