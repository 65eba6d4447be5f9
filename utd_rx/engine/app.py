"""The aiohttp application: which path leads where."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from utd_rx.engine.media_reports import WEBHOOK_PATH, MediaReports
from utd_rx.engine.routes import bans, mint, participants, rooms, seats, speakers
from utd_rx.engine.routes.context import CONTEXT, Context
from utd_rx.engine.routes.middleware import errors, rate_limit

_API = "/api/v1"
_ROOM = f"{_API}/rooms/{{room}}"
_PARTICIPANT = f"{_ROOM}/participants/{{identity}}"


def make_app(context: Context, reports: MediaReports, *, per_minute: int | None) -> web.Application:
    """Return the application that serves `context`.

    Args:
        context: The engine.
        reports: Receives the SFU's reports.
        per_minute: The rate limit, None for none.
    """
    middlewares: list[Middleware] = [errors]
    if per_minute is not None:
        middlewares.append(rate_limit(per_minute, context.core.clock))
    app = web.Application(middlewares=middlewares)
    app[CONTEXT] = context
    for method, path, handler in _routes(reports):
        app.router.add_route(method, path, handler)
        # A trailing slash is accepted, without the redirect that would lose a client's body.
        app.router.add_route(method, f"{path}/", handler)
    return app


def _routes(reports: MediaReports) -> list[tuple[str, str, Handler]]:
    return [
        ("GET", "/health", rooms.get_health),
        ("POST", WEBHOOK_PATH, reports.receive),
        ("POST", f"{_API}/token", mint.mint),
        ("POST", f"{_API}/auth/session", mint.session),
        ("GET", f"{_API}/project", rooms.get_project),
        # These win over `rooms/{room}`, which is why no room is called "ban" or "bans".
        ("POST", f"{_API}/rooms/ban", bans.ban),
        ("DELETE", f"{_API}/rooms/ban", bans.unban),
        ("GET", f"{_API}/rooms/bans", bans.list_bans),
        ("GET", f"{_API}/rooms", rooms.list_rooms),
        ("GET", _ROOM, rooms.get_room),
        ("DELETE", _ROOM, rooms.delete_room),
        ("PUT", f"{_ROOM}/metadata", rooms.set_metadata),
        ("POST", f"{_ROOM}/send-data", rooms.send_data),
        ("PUT", f"{_ROOM}/comments/lock", rooms.lock_comments),
        # Wins over `participants/{identity}`, so somebody called "by-role" cannot be looked at.
        ("GET", f"{_ROOM}/participants/by-role", participants.list_by_role),
        ("GET", _PARTICIPANT, participants.get_participant),
        ("DELETE", _PARTICIPANT, participants.kick_participant),
        ("PUT", f"{_PARTICIPANT}/mute", participants.mute_participant),
        ("PUT", f"{_PARTICIPANT}/role", participants.set_role),
        ("PUT", f"{_PARTICIPANT}/metadata", participants.set_metadata),
        ("PUT", f"{_PARTICIPANT}/permissions", participants.set_permissions),
        ("PUT", f"{_PARTICIPANT}/forbid-stream", participants.forbid_stream),
        ("PUT", f"{_PARTICIPANT}/resume-stream", participants.resume_stream),
        ("GET", f"{_ROOM}/seats", seats.get_seats),
        ("POST", f"{_ROOM}/seats/move", seats.move_seat),
        *(
            ("POST", f"{_ROOM}/seats/{path}", seats.seat_command(endpoint, read))
            for path, (endpoint, read) in seats.COMMANDS.items()
        ),
        ("GET", f"{_ROOM}/speakers/requests", speakers.list_requests),
        ("GET", f"{_ROOM}/speakers/invitations", speakers.list_invitations),
        *(
            (method, f"{_ROOM}/speakers/{path}", speakers.speaker_command(endpoint, read, reply))
            for (method, path), (endpoint, read, reply) in speakers.COMMANDS.items()
        ),
    ]
