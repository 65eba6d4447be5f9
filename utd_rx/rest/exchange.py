"""One request and its reply, without any judgement of what the reply says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import aiohttp
from attrs import field, frozen
from yarl import URL

from utd_rx.errors import UTDStreamException
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.proxy import Proxy
from utd_rx.ports.threads import no_threads
from utd_rx.rest.failures import malformed, proxy_refused, transport_failure
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
    proxy: Proxy | None = None
    secrets: tuple[str | None, ...] = field(default=(), repr=False)
    """What no message may hold: whoever is on the way may quote it."""


@frozen
class Reply:
    """What came back; `body` is None when it is longer than `MAX_REPLY`."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


Transport: TypeAlias = Callable[[Request, Timeouts], Awaitable[Reply]]
"""Sends a request once and returns its reply, whatever its status, within `Timeouts.receive`.

Raises `UTDStreamException`: `NETWORK`, `TIMEOUT`. It is cancelled when nobody waits any more."""


async def exchange(session: aiohttp.ClientSession, request: Request, timeouts: Timeouts) -> Reply:
    """Send `request` exactly once and read its reply; cancelling closes the connection."""
    proxy = request.proxy

    async def only_once(
        sent: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # aiohttp by itself sends GET, PUT and DELETE again on these two.
        try:
            return await handler(sent)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            failure = transport_failure(error, proxy, request.secrets)
        raise failure

    failure: UTDStreamException
    try:
        async with session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.payload,
            proxy=None if proxy is None else proxy.address,
            proxy_headers=None if proxy is None else proxy.headers,
            timeout=aiohttp.ClientTimeout(connect=timeouts.connect, sock_read=timeouts.receive),
            allow_redirects=False,
            raise_for_status=False,
            middlewares=(only_once,),
        ) as reply:
            return Reply(reply.status, reply.headers, await _read(reply.content))
    except aiohttp.ClientHttpProxyError as error:
        failure = proxy_refused(error.status, proxy)
    except aiohttp.ClientResponseError as error:
        reason = foreign_text(error.message, *request.secrets)
        failure = malformed(f"the engine does not speak HTTP: {reason}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        failure = transport_failure(error, proxy, request.secrets)
    except RuntimeError as error:  # who looks names up is a thread
        failure = no_threads(error)
    # Outside of the handler: aiohttp's error holds the request's headers, keys and all, or the
    # reply's, which may quote them, and must not travel along as the cause or context of ours.
    raise failure


async def _read(content: aiohttp.StreamReader) -> bytes | None:
    body = bytearray()
    async for chunk in content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > MAX_REPLY:
            return None
    return bytes(body)
