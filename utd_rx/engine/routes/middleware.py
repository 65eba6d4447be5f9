"""Every failure becomes a JSON body with `message` and `code`, in one place, and the rate limit.

A traceback never reaches a client: what nobody foresaw is logged and answered with a bare 500.
"""

from __future__ import annotations

import logging
import math
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from utd_rx.engine.engine_clock import EngineClock
from utd_rx.engine.routes.http import refused
from utd_rx.engine.routes.served import respond
from utd_rx.engine.rules.refusal import Reason, Refusal
from utd_rx.errors import classify_response
from utd_rx.protocol.wire.errors import error_to_wire

logger = logging.getLogger(__name__)

WINDOW_SECONDS: Final = 60.0
MINTS: Final = ("/api/v1/token", "/api/v1/auth/session")
_UNCOUNTED: Final = ("/health", "/livekit/webhook", "")

_WORDS: Final = {
    404: "there is no such route",
    405: "this route has no such method",
    415: "a body is taken as it is, without a Content-Encoding",
}


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer whatever went wrong further in."""
    try:
        return await handler(request)
    except Refusal as refusal:
        if refusal.reason is Reason.TOO_LARGE:
            logger.warning("%s %s: %s", request.method, request.rel_url.raw_path, refusal.message)
        return respond(refused(refusal))
    except web.HTTPException as error:
        return _http_response(error)
    except ConnectionError:
        return web.Response(status=400)  # the client is gone; there is nobody to answer
    except Exception:
        logger.exception("%s %s failed", request.method, request.rel_url.raw_path)
        return respond(refused(Refusal(Reason.INTERNAL, "Internal error")))


def rate_limit(per_minute: int, clock: EngineClock) -> Middleware:
    """Return the middleware that refuses what comes too often, mints counted apart
    (docs/contract.md, "Rate limit")."""
    windows: dict[str, tuple[float, int]] = {}  # by bucket: when its window began, and how many

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        path, now = request.path.rstrip("/"), clock.monotonic()
        if path not in _UNCOUNTED and not path.startswith("/page/"):
            bucket = "mint" if path in MINTS else "rest"
            began, known = windows.get(bucket, (now, 0))
            if now >= began + WINDOW_SECONDS:
                began, known = now, 0
            if known >= per_minute:
                wait = math.ceil(began + WINDOW_SECONDS - now)
                message = f"more than {per_minute} requests a minute; retry in {wait} s"
                raise Refusal(Reason.RATE_LIMITED, message, retry_after=wait)
            windows[bucket] = began, known + 1
        return await handler(request)

    return count


def _http_response(error: web.HTTPException) -> web.Response:
    """Write an error of aiohttp's own, such as a route that does not exist."""
    message = _WORDS.get(error.status, error.reason or "error")
    told = ("Allow", "Accept-Encoding")
    headers = {key: error.headers[key] for key in told if key in error.headers}
    code = classify_response(error.status, message)
    return web.json_response(error_to_wire(message, code), status=error.status, headers=headers)
