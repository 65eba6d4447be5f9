"""A request, from credentials to reply: what every route has in common.

The order is the same everywhere: credentials (401), room (404), ban and table (403), body (413,
422), fields, rule.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from attrs import frozen

from utd_rx.engine.authorization import Callers, Principal, RoomAccess, authorize
from utd_rx.engine.core import EngineCore, Rule
from utd_rx.engine.routes.fields import ANY_NUMBER, read_body, typed
from utd_rx.engine.routes.http import HttpReply, HttpRequest, RouteHandler
from utd_rx.engine.rules.names import check_identity
from utd_rx.engine.rules.refusal import Reason, Refusal, forbidden, invalid, not_found
from utd_rx.engine.rules.room_state import RoomState
from utd_rx.engine.rules.seat_state import Reply
from utd_rx.protocol.wire.reading import Json

APP_ID: Final = "X-App-Id"
APP_KEY: Final = "X-App-Key"
APP_SECRET: Final = "X-App-Secret"  # noqa: S105 - the name of a header


def authenticate_app(request: HttpRequest) -> Principal:
    """Check the app's own credentials: id and secret, or id and publishable key."""
    secrets, is_server = request.context.secrets, APP_SECRET in request.headers
    header = APP_SECRET if is_server else APP_KEY
    app_id, key = request.headers.get(APP_ID), request.headers.get(header)
    if not app_id or not key:
        raise Refusal(Reason.UNAUTHORIZED, f"Missing {APP_ID} or {header} header")
    # Both are compared, so that the time taken says nothing about which one was wrong.
    is_app = _is_same(app_id, secrets.app_id)
    is_key = _is_same(key, secrets.app_secret if is_server else secrets.app_key)
    if not (is_app and is_key):
        raise Refusal(Reason.UNAUTHORIZED, "Invalid credentials")
    request.trust()
    return Principal(is_server)


def authenticate(request: HttpRequest) -> Principal:
    """Check whichever credentials came: the secret before a bearer before the app key."""
    if "Authorization" not in request.headers or APP_SECRET in request.headers:
        return authenticate_app(request)
    token = bearer_text(request)
    if token is None:
        raise Refusal(Reason.UNAUTHORIZED, "Authorization must be a Bearer token")
    context = request.context
    bearer = context.tokens.read_bearer(token, context.core.clock.wall())
    request.trust()
    return Principal(bearer=bearer)


def bearer_text(request: HttpRequest) -> str | None:
    """Return the bearer that a request carries, as it came."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def permit(request: HttpRequest, allowed: Callers) -> Principal:
    """Let a request pass that names no room; returns whose it is."""
    principal = authenticate(request)
    if principal.identity is not None:
        request.context.core.refuse_banned(principal.identity, None)
    authorize(allowed, principal.caller_in(None))
    return principal


def acting_identity(principal: Principal, body: Json) -> str | None:
    """Return who acts (docs/contract.md, "Who acts"): a backend names them, a bearer does not."""
    named = [typed(body, key, str) for key in ("identity", "actor_identity")]
    claims = {identity for identity in named if identity is not None}
    if len(claims) > 1:
        raise invalid("identity and actor_identity name two actors")
    claimed = next(iter(claims), None)
    if principal.bearer is None:
        return claimed
    if claimed not in (None, principal.identity):
        raise forbidden("the identity in the body is not the bearer's")
    return principal.identity


@frozen
class RoomRequest:
    """A request that was let pass; of a `GET` the query stands for the body."""

    http: HttpRequest
    access: RoomAccess
    body: Json

    @property
    def core(self) -> EngineCore:
        return self.http.context.core

    @property
    def room(self) -> RoomState:
        """The room as it was when the request came."""
        return self.access.room

    @property
    def livekit_name(self) -> str:
        return self.core.rooms.livekit_name(self.room.name)

    @property
    def target(self) -> str:
        """The identity in the path; 404 for one that nobody can have."""
        try:
            return check_identity(self.http.match_info["identity"])
        except Refusal as refusal:
            raise not_found(refusal.message) from refusal

    def number(self, key: str) -> int:
        """Return a number of the path, or 404; whether it names anything is the rules' business."""
        text = self.http.match_info[key]
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            raise not_found(f"{text!r} is no {key}")
        # Nothing is numbered with ten digits, and int() of an endless string is slow.
        return int(text) if len(digits) < 10 else ANY_NUMBER

    async def carry_out(self, rule: Rule, target: str | None = None) -> Reply:
        return await self.core.command(self.access, rule, target)


Answer: TypeAlias = Callable[[RoomRequest], Awaitable[Reply]]
"""Does what is asked and returns the reply's body."""

CallersOf: TypeAlias = Callable[[HttpRequest, Principal], Callers]
"""Who may, where that depends on who asks about whom."""


def about_room(allowed: Callers | CallersOf, answer: Answer) -> RouteHandler:
    """Return the handler of a path below `rooms/{room}`."""

    async def handle(http: HttpRequest) -> HttpReply:
        principal = authenticate(http)
        callers = allowed(http, principal) if callable(allowed) else allowed
        core = http.context.core
        room = await core.find(http.match_info["room"], principal.identity)
        core.permit(callers, principal, room)
        body = http.query if http.method == "GET" else await read_body(http)
        access = RoomAccess(callers, principal, room, acting_identity(principal, body))
        return HttpReply(await answer(RoomRequest(http, access, body)))

    return handle


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())
