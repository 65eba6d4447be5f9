"""The aiohttp application: which path leads where, and who may go there."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from utd_rx.engine.authorization import (
    FOR_MEMBERS,
    FOR_MODERATORS,
    FOR_OWNER,
    FOR_SECRET,
    FOR_USERS,
    Callers,
)
from utd_rx.engine.media_reports import WEBHOOK_PATH, MediaReports
from utd_rx.engine.routes import bans, calls, mint, participants, rooms, seats, signal, stage
from utd_rx.engine.routes.middleware import errors, rate_limit
from utd_rx.engine.routes.request import CONTEXT, Answer, CallersOf, Context, about_room
from utd_rx.engine.rules.names import CALL_PREFIX

_API: Final = "/api/v1"
_WHO: Final = "/participants/{identity}"


def make_app(context: Context, reports: MediaReports, *, per_minute: int | None) -> web.Application:
    """Return the application that serves `context`; `per_minute` None is no rate limit."""
    middlewares: list[Middleware] = [errors]
    if per_minute is not None:
        middlewares.append(rate_limit(per_minute, context.core.clock))
    app = web.Application(middlewares=middlewares)
    app[CONTEXT] = context
    routes: list[tuple[str, str, Handler]] = [("POST", WEBHOOK_PATH, reports.receive), *_ROUTES]
    for how, path, allowed, answer in IN_ROOM:
        routes.append((how, f"{_API}/rooms/{{room}}{path}", about_room(allowed, answer)))
    routes += [
        (how, f"{_API}/calls/{{id}}{path}", calls.about_call(allowed, answer))
        for how, path, allowed, answer in calls.ROUTES
    ]
    for method, path, handler in routes:
        app.router.add_route(method, path, handler)
        # A trailing slash is accepted, without the redirect that would lose a client's body.
        app.router.add_route(method, f"{path}/", handler)
    return app


_ROUTES: Final[list[tuple[str, str, Handler]]] = [
    ("GET", "/health", rooms.get_health),
    ("POST", f"{_API}/token", mint.mint),
    ("POST", f"{_API}/auth/session", mint.session),
    ("GET", f"{_API}/project", rooms.get_project),
    ("GET", signal.PATH, signal.connect),
    # These win over `rooms/{room}`, which is why no room is called "ban" or "bans".
    ("POST", f"{_API}/rooms/ban", bans.ban),
    ("DELETE", f"{_API}/rooms/ban", bans.unban),
    ("GET", f"{_API}/rooms/bans", bans.list_bans),
    ("GET", f"{_API}/rooms", rooms.list_rooms),
    ("POST", f"{_API}/calls", calls.start),
    ("GET", f"{_API}/calls", calls.list_calls),
    # Wins over `rooms/{room}/participants/{identity}`: a call's room has two and no roles.
    (
        "GET",
        f"{_API}/rooms/{{id:{CALL_PREFIX}[^{{}}/]+}}{_WHO}",
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
