"""One request and its reply, without any judgement of what the reply says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aiohttp
from attrs import field, frozen
from yarl import URL

from utd_rx.errors import UTDStreamException
from utd_rx.rest.failures import malformed, transport_failure
from utd_rx.rest.policy import Timeouts

MAX_REPLY: Final = 1024 * 1024
"""Bytes of a reply, decompressed. The longest regular one, 100 seats with attributes and 100
requests, has some 50 KB; more than 1 MiB is no reply of an engine."""

_CHUNK: Final = 64 * 1024


@frozen
class Request:
    """What is sent; its headers hold the keys and stay out of the repr."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(repr=False)
    payload: bytes | None = field(repr=False)


@frozen
class Reply:
    """What came back; `body` is None when it is longer than `MAX_REPLY`."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


async def exchange(session: aiohttp.ClientSession, request: Request, timeouts: Timeouts) -> Reply:
    """Send `request` exactly once and read its reply.

    Cancelling closes the connection.

    Raises:
        UTDStreamException: `TIMEOUT`, `NETWORK`, or `MALFORMED_RESPONSE` for what is not HTTP.
    """
    failure: UTDStreamException
    try:
        async with session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.payload,
            timeout=aiohttp.ClientTimeout(connect=timeouts.connect, sock_read=timeouts.receive),
            allow_redirects=False,
            raise_for_status=False,
            middlewares=(_only_once,),
        ) as reply:
            return Reply(reply.status, reply.headers, await _read(reply.content))
    except aiohttp.ClientResponseError as error:
        failure = malformed(f"the engine does not speak HTTP: {error.message}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise transport_failure(error) from error
    # Outside of the handler: aiohttp's error holds the request's headers, keys and all, and must
    # not travel along as the cause or context of ours.
    raise failure


async def _only_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending GET, PUT and DELETE again by itself, as it does on these two."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise transport_failure(error) from error


async def _read(content: aiohttp.StreamReader) -> bytes | None:
    body = bytearray()
    async for chunk in content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > MAX_REPLY:
            return None
    return bytes(body)
