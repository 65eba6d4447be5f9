"""Rooms, what is said in them by a backend, and the project (facts/utd-engine.md §3.6)."""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web
from attrs import evolve

from utd_rx.engine.authorization import Endpoint
from utd_rx.engine.engine_clock import to_iso
from utd_rx.engine.media import EMPTY_ROOM_SECONDS, MediaRoom
from utd_rx.engine.metadata import custom_room_metadata, room_metadata_of
from utd_rx.engine.routes.context import context_of
from utd_rx.engine.routes.fields import (
    flag_of,
    page_of,
    page_to_wire,
    read_body,
    required_object_of,
    texts_of,
)
from utd_rx.engine.routes.identity import permit, permit_room
from utd_rx.engine.routes.participants import participant_to_wire
from utd_rx.engine.rules import moderation
from utd_rx.engine.rules.effects import Effects, PublishMetadata
from utd_rx.engine.rules.refusal import Reason, Refusal, invalid
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.rules.seat_commands import Actor
from utd_rx.protocol.wire.moderation import comment_lock_to_wire
from utd_rx.protocol.wire.reading import read_text

MAX_DATA_BYTES: Final = 15_000
"""What LiveKit vouches for in one reliable message (facts/livekit.md §7.3)."""

MAX_DESTINATIONS: Final = 1_000

_NO_LIMIT: Final = 0
"""LiveKit's spelling of "as many as you like"; the local engine limits neither."""


async def list_rooms(request: web.Request) -> web.Response:
    """Return the active rooms, newest first."""
    permit(request, Endpoint.ROOMS_LIST)
    page, per_page = page_of(request)
    core = context_of(request).core
    known = core.rooms.all()
    found = sorted(
        (room for room in await core.media.list_rooms() if room.name in known),
        key=lambda room: (room.created_at, room.sid),
        reverse=True,
    )
    rows = [_room_to_wire(known[room.name], room) for room in found]
    return web.json_response(page_to_wire(rows, page, per_page))


async def get_room(request: web.Request) -> web.Response:
    """Return a room and who is in it."""
    call = permit_room(request, Endpoint.ROOM_GET, {})
    core = context_of(request).core
    livekit_name = core.rooms.livekit_name(call.name)
    media = next((r for r in await core.media.list_rooms() if r.name == livekit_name), None)
    participants = await core.media.list_participants(livekit_name)
    return web.json_response(
        {
            **_room_to_wire(call.room, media or MediaRoom(livekit_name, "")),
            "participants": [
                participant_to_wire(call.room, participant) for participant in participants
            ],
        }
    )


async def delete_room(request: web.Request) -> web.Response:
    """Close a room for everybody in it."""
    call = permit_room(request, Endpoint.ROOM_DELETE, await read_body(request))
    await context_of(request).core.delete_room(call)
    return web.json_response({"room_name": call.name, "deleted": True})


async def set_metadata(request: web.Request) -> web.Response:
    """Replace the app's own part of the room's metadata; the server's keys stay."""
    body = await read_body(request)
    call = permit_room(request, Endpoint.ROOM_METADATA, body)
    custom = custom_room_metadata(required_object_of(body, "metadata"))

    def rule(room: RoomState, actor: Actor, now: float) -> tuple[RoomState, Effects, str]:
        room = evolve(room, metadata=custom)
        return room, (PublishMetadata(),), room_metadata_of(room)

    core = context_of(request).core
    metadata = await core.command(call, rule)
    return web.json_response({"room_name": call.name, "metadata": metadata})


async def lock_comments(request: web.Request) -> web.Response:
    """Lock or unlock the chat of the audience."""
    body = await read_body(request)
    call = permit_room(request, Endpoint.COMMENTS_LOCK, body)
    if body.get("locked") is None:
        raise invalid("locked is required")
    is_locked = flag_of(body, "locked", default=False)

    def rule(room: RoomState, actor: Actor, now: float) -> tuple[RoomState, Effects, None]:
        return *moderation.lock_comments(room, is_locked), None

    core = context_of(request).core
    await core.command(call, rule)
    return web.json_response({"room_name": call.name, **comment_lock_to_wire(is_locked)})


async def send_data(request: web.Request) -> web.Response:
    """Send a backend's message into the room; the engine's own types it cannot speak."""
    body = await read_body(request)
    call = permit_room(request, Endpoint.ROOM_SEND_DATA, body)
    data = required_object_of(body, "data")
    if (read_text(data.get("type")) or "").startswith("_"):
        raise invalid("types that start with '_' are the engine's own")
    if len(json.dumps(data, ensure_ascii=False).encode()) > MAX_DATA_BYTES:
        raise Refusal(Reason.TOO_LARGE, f"data is larger than {MAX_DATA_BYTES} bytes")
    to = texts_of(body, "destination_identities", MAX_DESTINATIONS)
    recipients = await context_of(request).core.send_data(call, data, to or None)
    return web.json_response({"room_name": call.name, "recipients": recipients})


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
            "active_rooms": len(context.core.rooms.all()),
        }
    )


async def get_health(request: web.Request) -> web.Response:
    """Say that the engine runs."""
    return web.json_response({"status": "ok"})


def _room_to_wire(room: RoomState, media: MediaRoom) -> dict[str, object]:
    return {
        "id": media.sid,
        "room_name": room.name,
        "type": room.type.value,
        "participant_count": media.participant_count,
        "max_participants": media.max_participants,
        "started_at": to_iso(media.created_at) if media.created_at else None,
        "metadata": media.metadata,
    }
