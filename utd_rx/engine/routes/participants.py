"""`/api/v1/rooms/:room/participants` (docs/contract.md, "Participants")."""

from __future__ import annotations

from functools import partial
from typing import Final

from utd_rx.engine.authorization import FOR_MEMBERS, FOR_SECRET, Callers, Principal
from utd_rx.engine.engine_clock import to_iso
from utd_rx.engine.media import MediaParticipant
from utd_rx.engine.routes import fields
from utd_rx.engine.routes.http import HttpRequest
from utd_rx.engine.routes.request import RoomRequest
from utd_rx.engine.rules import moderation, room_state
from utd_rx.engine.rules.refusal import invalid, not_found
from utd_rx.engine.rules.roles import Role
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.rules.seat_state import Reply
from utd_rx.models.participant import TrackSource
from utd_rx.protocol.wire.reading import Json, without_none

MAX_SID_CHARS: Final = 128
_SOURCES: Final = {
    source.name.lower(): source for source in TrackSource if source is not TrackSource.UNKNOWN
}


async def get_participant(asked: RoomRequest) -> Reply:
    found = await asked.core.media.get_participant(asked.livekit_name, asked.target)
    if found is None:
        raise not_found(f"{asked.target!r} is not in this room")
    return shown_to_wire(asked.room, found)


async def list_by_role(asked: RoomRequest) -> Reply:
    """Return who is connected, by role: those of `role`, everybody without it."""
    page, per_page = fields.page_of(asked.http.query)
    wanted = fields.choice_of({"role": asked.body.get("role") or None}, "role", Role)
    rows: list[dict[str, object]] = []
    for who in await asked.core.media.list_participants(asked.livekit_name):
        role = room_state.role_of(asked.room, who.identity)
        if role is not None and wanted in (None, role):
            shown = {"identity": who.identity, "name": who.name, "role": role.value}
            rows.append({**shown, "attributes": dict(who.attributes)})
    return fields.page_to_wire(rows, page, per_page)


async def kick_participant(asked: RoomRequest) -> Reply:
    target = asked.target
    await asked.core.kick(asked.access, target)
    return {"identity": target, "kicked": True}


async def mute_participant(asked: RoomRequest) -> Reply:
    target, body = asked.target, asked.body
    is_muted = fields.flag_of(body, "muted", default=True)
    sid = fields.text_of(body, "track_sid", MAX_SID_CHARS)
    # Audio unless told otherwise: what one mutes a speaker for.
    flags = (("audio", "video" not in body), ("video", False))
    kinds = tuple(key for key, default in flags if fields.flag_of(body, key, default=default))
    rule = partial(moderation.mute, target=target, is_muted=is_muted, kinds=kinds, sid=sid)
    return await asked.carry_out(rule, target)


async def set_role(asked: RoomRequest) -> Reply:
    target = asked.target
    role = fields.choice_of(asked.body, "role", Role)
    if role is None:
        raise invalid("role is required")
    return await asked.carry_out(partial(moderation.set_role, target=target, role=role), target)


async def set_metadata(asked: RoomRequest) -> Reply:
    """Replace the app's own part of somebody's metadata; the server's keys stay."""
    target = asked.target
    custom = fields.required_object_of(asked.body, "metadata")
    metadata = await asked.core.set_metadata(asked.access, target, custom)
    return {"identity": target, "metadata": metadata}


def metadata_callers(http: HttpRequest, principal: Principal) -> Callers:
    """Everybody writes their own metadata, a backend anybody's."""
    is_own = http.match_info["identity"] == principal.identity
    return FOR_MEMBERS - FOR_SECRET if is_own else FOR_SECRET


async def set_permissions(asked: RoomRequest) -> Reply:
    target, given = asked.target, _read_permissions(asked.body)
    rule = partial(moderation.change_grant, target=target, given=given)
    return await asked.carry_out(rule, target)


async def forbid_stream(asked: RoomRequest) -> Reply:
    target = asked.target
    return await asked.carry_out(partial(moderation.silence, target=target), target)


async def resume_stream(asked: RoomRequest) -> Reply:
    target = asked.target
    return await asked.carry_out(partial(moderation.unsilence, target=target), target)


def shown_to_wire(room: RoomState | None, participant: MediaParticipant) -> dict[str, object]:
    """Return all of one participant, with metadata and permission."""
    return {
        **participant_to_wire(room, participant),
        "metadata": participant.metadata,
        "attributes": dict(participant.attributes),
        "permission": participant.grant.to_wire(),
    }


def participant_to_wire(room: RoomState | None, participant: MediaParticipant) -> dict[str, object]:
    """Return one participant; `room` None is a call's, which has no roles."""
    role = None if room is None else room_state.role_of(room, participant.identity)
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


def _read_permissions(body: Json) -> dict[str, object]:
    """Return the fields of a `Grant` that are to change."""
    if body.get("hidden"):
        raise invalid("the local engine hides nobody")
    flags = ("can_publish", "can_subscribe", "can_publish_data")
    given: dict[str, object] = {key: fields.typed(body, key, bool) for key in flags}
    names = fields.texts_of(body, "can_publish_sources", 100)
    if not set(names or ()) <= set(_SOURCES):
        raise invalid(f"can_publish_sources must be a list of {', '.join(_SOURCES)}")
    given["sources"] = None if names is None else tuple(_SOURCES[name] for name in names)
    return without_none(**given)
