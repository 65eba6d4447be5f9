"""JSON over HTTP: one base URL, bounded in time and size, every failure typed.

Redirects are not followed: a bearer must not leave for another host.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Final, TypeAlias, TypedDict, Unpack

import aiohttp

from utd_rx.errors import ConflictReason, UTDStreamException, conflict, invalid
from utd_rx.ports.clock import SYSTEM_CLOCK, Clock, sleep_until
from utd_rx.ports.one_loop import OneLoop
from utd_rx.ports.proxy import Proxies
from utd_rx.protocol.wire.errors import error_from_wire
from utd_rx.protocol.wire.reading import Json, read_object
from utd_rx.rest.bearer import Bearer
from utd_rx.rest.checks import checked_base_url, checked_secret, endpoint
from utd_rx.rest.exchange import MAX_REPLY, Reply, Request, Transport, exchange
from utd_rx.rest.failures import is_transient, malformed, read_retry_after, timed_out
from utd_rx.rest.policy import RetryPolicy, Timeouts
from utd_rx.rest.turns import Turns

Body: TypeAlias = Mapping[str, object] | None


class CallOptions(TypedDict, total=False):
    """The keyword arguments of `UTDApiClient.request`, which explains them."""

    params: Mapping[str, str | int] | None
    bearer: Bearer | str | None
    is_safe: bool


class UTDApiClient:
    """Exchanges JSON with one host of the engine.

    It belongs to the event loop of its first call. 100 calls are with the engine at a time, up to
    1,000 wait for their turn in order (`rest.turns`), and their time begins with it.

    Args:
        base_url: Where the engine is: `https://`, or `http://` on this machine.
        app_id: The project's id.
        app_key: The project's publishable key; sent as `X-App-Key`.
        session: An aiohttp session to share; it stays its maker's to close, its own middlewares
            do not see these calls, and what it knows of proxies holds where this client knows
            none. Where it has fewer connections, as many calls are with the engine. None makes one
            on the first call, which keeps no cookies.
        timeouts: Bounds of each call.
        retries: When a call that is safe to repeat is repeated.
        proxy: An HTTP proxy to go through, `http://user:password@host:port`; never to this
            machine nor to what `NO_PROXY` names.
        trust_env: Whether `HTTPS_PROXY` holds where no `proxy` is given; read now, once.
        transport: Exchanges instead of a session, for tests without a network.
        clock: What time it is, and what the waits between repetitions wait on. I/O is bounded by
            the loop's own.

    Raises:
        UTDStreamException: `VALIDATION`: another URL, a proxy that is not `http://`, or a
            credential that cannot stand in a header.
    """

    DEFAULT_BASE_URL: Final = "https://engine.udt-stream.com"
    DEFAULT_TOKEN_BASE_URL: Final = "https://udt-stream.com"  # noqa: S105 (a host, no secret)

    def __init__(
        self,
        base_url: str = DEFAULT_BASE_URL,
        *,
        app_id: str,
        app_key: str,
        session: aiohttp.ClientSession | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 (frozen)
        retries: RetryPolicy = RetryPolicy(),  # noqa: B008 (frozen)
        proxy: str | None = None,
        trust_env: bool = False,
        transport: Transport | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.owner: Final = OneLoop("client")
        self.clock: Final = clock
        self._base = checked_base_url(base_url)
        self._app_key = app_key
        self._headers = {
            "X-App-Id": checked_secret(app_id, "app_id"),
            "X-App-Key": checked_secret(app_key, "app_key"),
            "Accept": "application/json",
            "Content-Type": "application/json; charset=utf-8",
        }
        self._proxy = Proxies.of(proxy, trust_env=trust_env).for_url(str(self._base))
        self._session = session
        self._transport = transport
        self._turns = Turns(session)
        self._is_session_ours = session is None
        self._is_closed = False
        self._timeouts = timeouts
        self._retries = retries

    def __repr__(self) -> str:
        return f"UTDApiClient({str(self._base)!r})"

    async def get(self, path: str, body: Body = None, **options: Unpack[CallOptions]) -> Json:
        """Send a GET, which changes nothing and is therefore repeated; see `request`."""
        options["is_safe"] = True
        return await self.request("GET", path, body, **options)

    async def post(self, path: str, body: Body = None, **options: Unpack[CallOptions]) -> Json:
        """Send a POST; see `request`."""
        return await self.request("POST", path, body, **options)

    async def put(self, path: str, body: Body = None, **options: Unpack[CallOptions]) -> Json:
        """Send a PUT; see `request`."""
        return await self.request("PUT", path, body, **options)

    async def delete(self, path: str, body: Body = None, **options: Unpack[CallOptions]) -> Json:
        """Send a DELETE; see `request`."""
        return await self.request("DELETE", path, body, **options)

    async def request(
        self,
        method: str,
        path: str,
        body: Body = None,
        *,
        params: Mapping[str, str | int] | None = None,
        bearer: Bearer | str | None = None,
        is_safe: bool = False,
    ) -> Json:
        """Exchange JSON; return the reply's object, `{}` for an empty one.

        A reply that is JSON but no object comes as `{"data": …}`
        (docs/contract.md, "Requests and replies"). Cancelling leaves nothing open here, but the
        engine may have done what was asked.

        Args:
            method: The HTTP method.
            path: Under `/api/v1`, percent-encoded (`path_of` does that).
            body: The request's object; None sends `{}` with POST and PUT and nothing otherwise.
            params: The query.
            bearer: The user token, or what keeps a fresh one; None to act with the app key alone.
            is_safe: Whether doing it twice is as good as once. Only then is it sent again after
                a lost connection, a time-out or a status of `TRANSIENT_STATUSES`.

        Raises:
            UTDStreamException: `TIMEOUT`, whose message says whether the engine may have done what
                was asked, `NETWORK` (also what a proxy refuses), `MALFORMED_RESPONSE` (also a
                redirect and more than 1 MiB), `VALIDATION`, `CONFLICT` when the client is closed
                or another loop's, and, as `BUSY`, when too many wait, or what the engine answered.
        """
        url = endpoint(self._base, path, {key: str(v) for key, v in (params or {}).items()})
        if body is None and method in ("POST", "PUT"):
            body = {}
        payload = None if body is None else _encode(body)
        self._require_open()

        async def send(token: str | None) -> Json:
            headers = self._headers
            # Beside a bearer the app headers are not needed (docs/contract.md, "Bearers"); another
            # engine may want them.
            if token is not None:
                headers = {**headers, "Authorization": f"Bearer {checked_secret(token, 'bearer')}"}
            secrets = (self._app_key, token, None if self._proxy is None else self._proxy.password)
            request = Request(method, url, headers, payload, self._proxy, secrets)
            return await self._send(request, limit, is_safe=is_safe)

        try:
            async with asyncio.timeout(self._timeouts.total) as limit:
                return await (bearer.carry(send) if isinstance(bearer, Bearer) else send(bearer))
        except TimeoutError as error:
            raise timed_out(self._proxy) from error

    async def aclose(self) -> None:
        """Close the connections when they are ours; running calls fail, later ones raise.

        Idempotent; cancelling is safe.

        Raises:
            UTDStreamException: `CONFLICT`: another loop runs here than that of the calls.
        """
        self.owner.check()
        self._is_closed = True
        if self._is_session_ours and self._session is not None:
            await self._session.close()

    async def _send(self, request: Request, limit: asyncio.Timeout, *, is_safe: bool) -> Json:
        attempt = 1
        while True:
            try:
                async with self._turns.take(limit):
                    reply = await self._exchange(request)
                return self._judge(reply, request.secrets)
            except UTDStreamException as error:
                wait = None
                if is_safe and is_transient(error):
                    jitter = self.clock.jitter()
                    wait = self._retries.wait_before_next(attempt, error.retry_after, jitter)
                # The failure at hand says more than the time-out that waiting would be.
                ends_at = limit.when() or 0.0
                if wait is None or wait >= ends_at - asyncio.get_running_loop().time():
                    raise
            await sleep_until(self.clock, self.clock.now() + wait)
            attempt += 1

    async def _exchange(self, request: Request) -> Reply:
        self._require_open()
        if self._transport is not None:
            return await self._transport(request, self._timeouts)
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return await exchange(self._session, request, self._timeouts)

    def _require_open(self) -> None:
        self.owner.check()
        if self._is_closed or (self._session is not None and self._session.closed):
            raise conflict(ConflictReason.CLOSED, "the client is closed")

    def _judge(self, reply: Reply, secrets: tuple[str | None, ...]) -> Json:
        wire = None if reply.body is None else _decode(reply.body)
        if reply.status >= 400:
            raise error_from_wire(
                reply.status,
                read_object(wire),
                retry_after=read_retry_after(reply.headers, self.clock.wall()),
                secrets=secrets,
            )
        if reply.status >= 300:
            raise malformed(
                "the engine redirects, which is not followed; correct base_url", reply.status
            )
        if reply.status < 200:  # of these only 101 comes here
            raise malformed("the engine switches protocols instead of answering", reply.status)
        if wire is None:
            reason = "is no JSON" if reply.body is not None else f"exceeds {MAX_REPLY} bytes"
            raise malformed(f"the engine's reply {reason}", reply.status)
        return wire


def _encode(body: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(dict(body), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid("the request's fields must be JSON values") from error


def _decode(text: bytes) -> Json | None:
    """Return the object in `text`, `{}` for none, None when it is no JSON."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else {"data": value}
