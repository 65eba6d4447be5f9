"""The routes behind aiohttp: its requests become ours, and our replies its."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from utd_rx.engine.routes.http import Context, HttpReply, HttpRequest, RouteHandler
from utd_rx.engine.rules.refusal import invalid
from utd_rx.engine.serving import trust


def served(context: Context, handler: RouteHandler) -> Handler:
    """Return the handler that aiohttp calls."""

    async def handle(request: web.Request) -> web.Response:
        asked = HttpRequest(
            context,
            request.method,
            request.match_info,
            request.query,
            request.headers,
            chunks=partial(chunks_of, request),
            trust=partial(trust, request),
        )
        return respond(await handler(asked))

    return handle


def respond(reply: HttpReply) -> web.Response:
    return web.json_response(reply.body, status=reply.status, headers=reply.headers)


async def chunks_of(request: web.Request) -> AsyncIterator[bytes]:
    """Read the body; 422 for one that breaks off."""
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except web.RequestPayloadError as error:
        raise invalid("the body cannot be decoded") from error
