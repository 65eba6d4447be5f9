"""Who sends a request: credentials checked, then the table of `utd_rx.engine.authorization`."""

from __future__ import annotations

import hmac
from typing import Final

from aiohttp import web

from utd_rx.engine.access import Principal
from utd_rx.engine.authorization import Endpoint, authorize
from utd_rx.engine.options import Secrets
from utd_rx.engine.routes.context import context_of
from utd_rx.engine.rules.refusal import Reason, Refusal, forbidden, invalid
from utd_rx.engine.serving import trust
from utd_rx.engine.tokens import read_bearer
from utd_rx.protocol.wire.reading import Json

APP_ID: Final = "X-App-Id"
APP_KEY: Final = "X-App-Key"
APP_SECRET: Final = "X-App-Secret"  # noqa: S105 - the name of a header
_SCHEME: Final = "bearer"


def authenticate_app(request: web.Request) -> Principal:
    """Check the app's own credentials: id and secret, or id and publishable key.

    Raises:
        Refusal: 401.
    """
    secrets = context_of(request).secrets
    if APP_SECRET in request.headers:
        _check_app(request, APP_SECRET, secrets.app_secret, secrets)
        return Principal(is_server=True)
    _check_app(request, APP_KEY, secrets.app_key, secrets)
    return Principal()


def authenticate(request: web.Request) -> Principal:
    """Check whichever credentials came: the secret before a bearer before the app key.

    Raises:
        Refusal: 401.
    """
    header = request.headers.get("Authorization")
    if header is None or APP_SECRET in request.headers:
        return authenticate_app(request)
    scheme, _, token = header.partition(" ")
    if scheme.lower() != _SCHEME:
        raise Refusal(Reason.UNAUTHORIZED, "Authorization must be a Bearer token")
    context = context_of(request)
    bearer = read_bearer(context.secrets, token.strip(), context.core.clock.wall())
    trust(request)
    return Principal(bearer=bearer)


def permit(request: web.Request, endpoint: Endpoint) -> Principal:
    """Let a request pass that names no room.

    Raises:
        Refusal: 401, 403.
    """
    principal = authenticate(request)
    if principal.identity is not None:
        context_of(request).core.refuse_banned(principal.identity, None)
    authorize(endpoint, principal.caller_in(None))
    return principal


def acting_identity(principal: Principal, body: Json) -> str | None:
    """Return who acts; a backend names them, and a bearer is nobody else's.

    Raises:
        Refusal: 403 when `identity` or `actor_identity` of the body is not the bearer's own, 422
            when they are no strings or name two (docs/contract.md, "Who acts").
    """
    claimed = None
    for key in ("identity", "actor_identity"):
        value = body.get(key)
        if value is None:
            continue
        if not isinstance(value, str):
            raise invalid(f"{key} must be a string")
        if claimed is not None and value != claimed:
            raise invalid("identity and actor_identity name two actors")
        claimed = value
    if principal.bearer is None:
        return claimed
    if claimed not in (None, principal.identity):
        raise forbidden("the identity in the body is not the bearer's")
    return principal.identity


def _check_app(request: web.Request, header: str, expected: str, secrets: Secrets) -> None:
    app_id, key = request.headers.get(APP_ID), request.headers.get(header)
    if not app_id or not key:
        raise Refusal(Reason.UNAUTHORIZED, f"Missing {APP_ID} or {header} header")
    # Both are compared, so that the time taken says nothing about which one was wrong.
    is_app = _is_same(app_id, secrets.app_id)
    is_key = _is_same(key, expected)
    if not (is_app and is_key):
        raise Refusal(Reason.UNAUTHORIZED, "Invalid credentials")
    trust(request)


def _is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())
