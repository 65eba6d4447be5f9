"""Rooms, what is said in them by a backend, and the project (docs/contract.md, "Rooms")."""

from __future__ import annotations

import json
from functools import partial
from typing import Final

from attrs import evolve

from utd_rx.engine.authorization import FOR_SECRET
from utd_rx.engine.engine_clock import to_iso
from utd_rx.engine.media import EMPTY_ROOM_SECONDS, MediaRoom
from utd_rx.engine.metadata import custom_room_metadata, room_metadata_of
from utd_rx.engine.routes import fields
from utd_rx.engine.routes.http import HttpReply, HttpRequest
from utd_rx.engine.routes.participants import participant_to_wire
from utd_rx.engine.routes.request import RoomRequest, permit
from utd_rx.engine.rules import moderation
from utd_rx.engine.rules.effects import PublishMetadata
from utd_rx.engine.rules.refusal import Reason, Refusal, invalid
from utd_rx.engine.rules.roles import Actor
from utd_rx.engine.rules.room_state import Done, RoomState
from utd_rx.engine.rules.seat_state import Reply
from utd_rx.protocol.wire.reading import read_text

MAX_DATA_BYTES: Final = 15_000
"""What LiveKit vouches for in one reliable message (docs/livekit.md, "Sizes")."""

MAX_DESTINATIONS: Final = 1_000

_NO_LIMIT: Final = 0
"""LiveKit's spelling of "as many as you like"; the local engine limits neither."""


async def list_rooms(request: HttpRequest) -> HttpReply:
    """Return the active rooms, newest first."""
    permit(request, FOR_SECRET)
    page, per_page = fields.page_of(request.query)
    core = request.context.core
    known, running = core.rooms.all(), await core.media.list_rooms()
    found = sorted(running, key=lambda room: (room.created_at, room.sid), reverse=True)
    named = [(known.get(core.rooms.engine_name(room.name) or ""), room) for room in found]
    rows = [_room_to_wire(state, room) for state, room in named if state is not None]
    return HttpReply(fields.page_to_wire(rows, page, per_page))


async def get_room(asked: RoomRequest) -> Reply:
    name, media = asked.livekit_name, asked.core.media
    found = next((room for room in await media.list_rooms() if room.name == name), None)
    people = await media.list_participants(name)
    return {
        **_room_to_wire(asked.room, found or MediaRoom(name, "")),
        "participants": [participant_to_wire(asked.room, who) for who in people],
    }


async def delete_room(asked: RoomRequest) -> Reply:
    await asked.core.delete_room(asked.access)
    return {"room_name": asked.room.name, "deleted": True}


async def set_metadata(asked: RoomRequest) -> Reply:
    """Replace the app's own part of the room's metadata; the server's keys stay."""
    custom = custom_room_metadata(fields.required_object_of(asked.body, "metadata"))

    def rule(room: RoomState, actor: Actor, now: float) -> Done:
        room = evolve(room, metadata=custom)
        reply: Reply = {"room_name": room.name, "metadata": room_metadata_of(room)}
        return room, (PublishMetadata(),), reply

    return await asked.carry_out(rule)


async def lock_comments(asked: RoomRequest) -> Reply:
    if asked.body.get("locked") is None:
        raise invalid("locked is required")
    is_locked = fields.flag_of(asked.body, "locked", default=False)
    return await asked.carry_out(partial(moderation.lock_comments, is_locked=is_locked))


async def send_data(asked: RoomRequest) -> Reply:
    """Send a backend's message into the room; the engine's own types it cannot speak."""
    data = fields.required_object_of(asked.body, "data")
    if (read_text(data.get("type")) or "").startswith("_"):
        raise invalid("types that start with '_' are the engine's own")
    if len(json.dumps(data, ensure_ascii=False).encode()) > MAX_DATA_BYTES:
        raise Refusal(Reason.TOO_LARGE, f"data is larger than {MAX_DATA_BYTES} bytes")
    to = fields.texts_of(asked.body, "destination_identities", MAX_DESTINATIONS)
    recipients = await asked.core.send_data(asked.access, data, to or None)
    return {"room_name": asked.room.name, "recipients": recipients}


async def get_project(request: HttpRequest) -> HttpReply:
    permit(request, FOR_SECRET)
    context = request.context
    return HttpReply(
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
            "calls_enabled": True,
            "active_rooms": len(context.core.rooms.all()),
        }
    )


async def get_health(request: HttpRequest) -> HttpReply:
    return HttpReply({"status": "ok"})


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
