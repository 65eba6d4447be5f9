"""Which path leads where, and who may go there."""

from __future__ import annotations

from typing import Final

from utd_rx.engine.authorization import (
    FOR_MEMBERS,
    FOR_MODERATORS,
    FOR_OWNER,
    FOR_SECRET,
    FOR_USERS,
    Callers,
)
from utd_rx.engine.routes import bans, calls, mint, participants, rooms, seats, stage
from utd_rx.engine.routes.http import RouteHandler
from utd_rx.engine.routes.request import Answer, CallersOf, about_room
from utd_rx.engine.rules.names import CALL_PREFIX

API: Final = "/api/v1"
_WHO: Final = "/participants/{identity}"

_ELSEWHERE: Final[list[tuple[str, str, RouteHandler]]] = [
    ("GET", "/health", rooms.get_health),
    ("POST", f"{API}/token", mint.mint),
    ("POST", f"{API}/auth/session", mint.session),
    ("GET", f"{API}/project", rooms.get_project),
    # These win over `rooms/{room}`, which is why no room is called "ban" or "bans".
    ("POST", f"{API}/rooms/ban", bans.ban),
    ("DELETE", f"{API}/rooms/ban", bans.unban),
    ("GET", f"{API}/rooms/bans", bans.list_bans),
    ("GET", f"{API}/rooms", rooms.list_rooms),
    ("POST", f"{API}/calls", calls.start),
    ("GET", f"{API}/calls", calls.list_calls),
    # Wins over `rooms/{room}/participants/{identity}`: a call's room has two and no roles.
    (
        "GET",
        f"{API}/rooms/{{id:{CALL_PREFIX}[^/]+}}{_WHO}",
        calls.about_call(FOR_USERS | FOR_SECRET, calls.get_participant),
    ),
]
"""About no room, or not by its path: each handler says who may."""

IN_ROOM: Final[list[tuple[str, str, Callers | CallersOf, Answer]]] = [
    ("GET", "", FOR_MEMBERS, rooms.get_room),
    ("DELETE", "", FOR_OWNER, rooms.delete_room),
    ("PUT", "/metadata", FOR_SECRET, rooms.set_metadata),
    ("POST", "/send-data", FOR_SECRET, rooms.send_data),
    ("PUT", "/comments/lock", FOR_MODERATORS, rooms.lock_comments),
    # Wins over `participants/{identity}`, so somebody called "by-role" cannot be looked at.
    ("GET", "/participants/by-role", FOR_MEMBERS, participants.list_by_role),
    ("GET", _WHO, FOR_MEMBERS, participants.get_participant),
    ("DELETE", _WHO, FOR_MODERATORS, participants.kick_participant),
    ("PUT", f"{_WHO}/mute", FOR_MODERATORS, participants.mute_participant),
    ("PUT", f"{_WHO}/role", FOR_OWNER, participants.set_role),
    ("PUT", f"{_WHO}/metadata", participants.metadata_callers, participants.set_metadata),
    ("PUT", f"{_WHO}/permissions", FOR_SECRET, participants.set_permissions),
    ("PUT", f"{_WHO}/forbid-stream", FOR_SECRET, participants.forbid_stream),
    ("PUT", f"{_WHO}/resume-stream", FOR_SECRET, participants.resume_stream),
    *seats.ROUTES,
    *stage.ROUTES,
]
"""Below `rooms/{room}`: method, path, who may, and what answers."""

ROUTES: Final[list[tuple[str, str, RouteHandler]]] = [
    *_ELSEWHERE,
    *(
        (how, f"{API}/rooms/{{room}}{path}", about_room(allowed, answer))
        for how, path, allowed, answer in IN_ROOM
    ),
    *(
        (how, f"{API}/calls/{{id}}{path}", calls.about_call(allowed, answer))
        for how, path, allowed, answer in calls.ROUTES
    ),
]
"""All of them: method, path, and what answers; the first that fits wins."""
