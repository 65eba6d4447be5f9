"""The aiohttp application: which path leads where."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from utd_rx.engine.authorization import Endpoint
from utd_rx.engine.media_reports import WEBHOOK_PATH, MediaReports
from utd_rx.engine.routes import bans, mint, participants, rooms, seats
from utd_rx.engine.routes.middleware import errors, rate_limit
from utd_rx.engine.routes.request import CONTEXT, Answer, Context, EndpointOf, about_room

_API: Final = "/api/v1"
_ROOM: Final = f"{_API}/rooms/{{room}}"


def make_app(context: Context, reports: MediaReports, *, per_minute: int | None) -> web.Application:
    """Serve `context`; `per_minute` None is no rate limit."""
    middlewares: list[Middleware] = [errors]
    if per_minute is not None:
        middlewares.append(rate_limit(per_minute, context.core.clock))
    app = web.Application(middlewares=middlewares)
    app[CONTEXT] = context
    routes: list[tuple[str, str, Handler]] = [("POST", WEBHOOK_PATH, reports.receive), *_ROUTES]
    routes += [(how, f"{_ROOM}{path}", about_room(row, do)) for how, path, row, do in _IN_ROOM]
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
    # These win over `rooms/{room}`, which is why no room is called "ban" or "bans".
    ("POST", f"{_API}/rooms/ban", bans.ban),
    ("DELETE", f"{_API}/rooms/ban", bans.unban),
    ("GET", f"{_API}/rooms/bans", bans.list_bans),
    ("GET", f"{_API}/rooms", rooms.list_rooms),
]

_WHO: Final = "/participants/{identity}"

_IN_ROOM: Final[list[tuple[str, str, Endpoint | EndpointOf, Answer]]] = [
    ("GET", "", Endpoint.ROOM_GET, rooms.get_room),
    ("DELETE", "", Endpoint.ROOM_DELETE, rooms.delete_room),
    ("PUT", "/metadata", Endpoint.ROOM_METADATA, rooms.set_metadata),
    ("POST", "/send-data", Endpoint.ROOM_SEND_DATA, rooms.send_data),
    ("PUT", "/comments/lock", Endpoint.COMMENTS_LOCK, rooms.lock_comments),
    # Wins over `participants/{identity}`, so somebody called "by-role" cannot be looked at.
    ("GET", "/participants/by-role", Endpoint.PARTICIPANTS_BY_ROLE, participants.list_by_role),
    ("GET", _WHO, Endpoint.PARTICIPANT_GET, participants.get_participant),
    ("DELETE", _WHO, Endpoint.PARTICIPANT_KICK, participants.kick_participant),
    ("PUT", f"{_WHO}/mute", Endpoint.PARTICIPANT_MUTE, participants.mute_participant),
    ("PUT", f"{_WHO}/role", Endpoint.PARTICIPANT_ROLE, participants.set_role),
    ("PUT", f"{_WHO}/metadata", participants.metadata_endpoint, participants.set_metadata),
    ("PUT", f"{_WHO}/permissions", Endpoint.PARTICIPANT_PERMISSIONS, participants.set_permissions),
    ("PUT", f"{_WHO}/forbid-stream", Endpoint.PARTICIPANT_FORBID, participants.forbid_stream),
    ("PUT", f"{_WHO}/resume-stream", Endpoint.PARTICIPANT_RESUME, participants.resume_stream),
    *seats.ROUTES,
]
"""Below `rooms/{room}`: method, path, who may, and what answers."""
