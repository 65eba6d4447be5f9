"""The routes without a server: who has a request in hand calls them."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.parse import unquote

from attrs import frozen

from utd_rx.engine.routes.http import Context, HttpReply, HttpRequest, RouteHandler, refused
from utd_rx.engine.routes.table import ROUTES
from utd_rx.engine.rules.refusal import Reason, Refusal, not_found

logger = logging.getLogger(__name__)

_NAMED: Final = re.compile(r"\{(\w+)(?::([^{}]+))?\}")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_NAMED.sub(lambda name: f"(?P<{name[1]}>{name[2] or '[^/]+'})", path))


_ROUTES: Final = [(method, path, _pattern(path), answer) for method, path, answer in ROUTES]


@frozen
class RouteFound:
    """Where a request leads: `path` with its names, and what stands for them in this one."""

    method: str
    path: str
    names: Mapping[str, str]
    handler: RouteHandler


def route_of(method: str, path: str) -> RouteFound | None:
    """Return where a request leads, `path` as it was sent, percent-encoded; None for nowhere."""
    for how, named, pattern, handler in _ROUTES:
        if how == method and (found := pattern.fullmatch(path.removesuffix("/"))):
            names = {name: unquote(text) for name, text in found.groupdict().items()}
            return RouteFound(method, named, names, handler)
    return None


async def answer(
    context: Context,
    route: RouteFound | None,
    *,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
) -> HttpReply:
    """Answer one request, with what went wrong, too, as the server's middleware does."""

    async def chunks() -> AsyncIterator[bytes]:
        yield body

    if route is None:
        return refused(not_found("there is no such route"))
    request = HttpRequest(
        context, route.method, route.names, query, headers, chunks, trust=lambda: None
    )
    try:
        return await route.handler(request)
    except Refusal as refusal:
        return refused(refusal)
    except Exception:
        logger.exception("%s %s failed", route.method, route.path)
        return refused(Refusal(Reason.INTERNAL, "Internal error"))
