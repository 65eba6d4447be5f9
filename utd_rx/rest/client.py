"""JSON over HTTP: one base URL, bounded in time and size, every failure typed.

A call is sent once unless it says that repeating is safe; aiohttp's own silent repetition of
PUT and DELETE is switched off, so that the count is ours. Redirects are not followed: a bearer
must not leave for another host.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Final

import aiohttp

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.protocol.wire.errors import error_from_wire
from utd_rx.protocol.wire.reading import Json, read_object
from utd_rx.rest.checks import checked_secret, invalid
from utd_rx.rest.exchange import MAX_REPLY, Reply, Request, exchange
from utd_rx.rest.failures import is_transient, malformed, read_retry_after, timed_out
from utd_rx.rest.policy import RetryPolicy, Timeouts
from utd_rx.rest.urls import checked_base_url, endpoint


class UTDApiClient:
    """Exchanges JSON with one host of the engine.

    Args:
        base_url: Where the engine is: `https://`, or `http://` on this machine.
        app_id: The project's id.
        app_key: The project's publishable key; sent as `X-App-Key`.
        session: An aiohttp session to share; it stays its maker's to close, and its own
            middlewares do not see these calls. None makes one on the first call, which belongs
            to the event loop of that call and keeps no cookies.
        timeouts: Bounds of each call.
        retries: When a call that is safe to repeat is repeated.

    Raises:
        UTDStreamException: `VALIDATION`: see `checked_base_url`, or a credential that cannot
            stand in a header.
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
    ) -> None:
        self._base = checked_base_url(base_url)
        self._app_id = checked_secret(app_id, "app_id")
        self._app_key = checked_secret(app_key, "app_key")
        self._session = session
        self._is_session_ours = session is None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self._timeouts = timeouts
        self._retries = retries

    def __repr__(self) -> str:
        return f"UTDApiClient({str(self._base)!r})"

    async def get(
        self,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        params: Mapping[str, str | int] | None = None,
        bearer: str | None = None,
    ) -> Json:
        """Send a GET, which changes nothing and is therefore repeated; see `request`."""
        return await self.request("GET", path, body, params=params, bearer=bearer, is_safe=True)

    async def post(
        self,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        params: Mapping[str, str | int] | None = None,
        bearer: str | None = None,
        is_safe: bool = False,
    ) -> Json:
        """Send a POST; see `request`."""
        return await self.request("POST", path, body, params=params, bearer=bearer, is_safe=is_safe)

    async def put(
        self,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        params: Mapping[str, str | int] | None = None,
        bearer: str | None = None,
        is_safe: bool = False,
    ) -> Json:
        """Send a PUT; see `request`."""
        return await self.request("PUT", path, body, params=params, bearer=bearer, is_safe=is_safe)

    async def delete(
        self,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        params: Mapping[str, str | int] | None = None,
        bearer: str | None = None,
        is_safe: bool = False,
    ) -> Json:
        """Send a DELETE; see `request`."""
        return await self.request(
            "DELETE", path, body, params=params, bearer=bearer, is_safe=is_safe
        )

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        params: Mapping[str, str | int] | None = None,
        bearer: str | None = None,
        is_safe: bool = False,
    ) -> Json:
        """Exchange JSON; return the reply's object, `{}` for an empty one.

        A reply that is JSON but no object comes as `{"data": …}` (facts/utd-engine.md §3.1).
        Cancelling leaves nothing open here, but the engine may have done what was asked.

        Args:
            method: The HTTP method.
            path: Under `/api/v1`, percent-encoded (`path_of` does that).
            body: The request's object; None sends `{}` with POST and PUT and nothing otherwise.
            params: The query.
            bearer: The user token, None to act with the app key alone.
            is_safe: Whether doing it twice is as good as once. Only then is it sent again after
                a lost connection, a time-out or a status of `TRANSIENT_STATUSES`.

        Raises:
            UTDStreamException: `TIMEOUT`, `NETWORK`, `MALFORMED_RESPONSE` (also a redirect and
                more than 1 MiB), `VALIDATION`, `CONFLICT` when the client is closed, or what the
                engine answered.
        """
        url = endpoint(self._base, path, {key: str(v) for key, v in (params or {}).items()})
        if body is None and method in ("POST", "PUT"):
            body = {}
        payload = None if body is None else _encode(body)
        request = Request(method, url, self._headers(bearer), payload)
        attempt = 1
        try:
            async with asyncio.timeout(self._timeouts.total) as deadline:
                while True:
                    try:
                        reply = await exchange(self._opened(), request, self._timeouts)
                        return self._judge(reply, bearer)
                    except UTDStreamException as error:
                        wait = None
                        if is_safe and is_transient(error):
                            wait = self._retries.wait_before_next(attempt, error.retry_after)
                        # The failure at hand says more than the time-out that waiting would be.
                        if wait is None or wait >= _seconds_left(deadline):
                            raise
                    await self._retries.sleep(wait)
                    attempt += 1
        except TimeoutError as error:
            raise timed_out() from error

    async def aclose(self) -> None:
        """Close the connections when they are ours; running calls fail, later ones raise.

        Idempotent; cancelling is safe.
        """
        self._is_closed = True
        if self._is_session_ours and self._session is not None:
            await self._session.close()

    def _headers(self, bearer: str | None) -> dict[str, str]:
        # Beside a bearer the app headers are not needed (§7.4, 27); another engine may want them.
        headers = {
            "X-App-Id": self._app_id,
            "X-App-Key": self._app_key,
            "Accept": "application/json",
            "Content-Type": "application/json; charset=utf-8",
        }
        if bearer is not None:
            headers["Authorization"] = f"Bearer {checked_secret(bearer, 'bearer')}"
        return headers

    def _opened(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if not self._is_closed and self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
            self._loop = loop
        if self._loop not in (None, loop):
            raise UTDStreamException(
                "this client belongs to another event loop; make one client per loop",
                code=UTDErrorCode.CONFLICT,
            )
        if self._is_closed or self._session is None or self._session.closed:
            raise UTDStreamException("the client is closed", code=UTDErrorCode.CONFLICT)
        return self._session

    def _judge(self, reply: Reply, bearer: str | None) -> Json:
        wire = None if reply.body is None else _decode(reply.body)
        if reply.status >= 400:
            error = error_from_wire(
                reply.status,
                read_object(wire),
                retry_after=read_retry_after(reply.headers, self._retries.clock()),
            )
            raise _without(error, self._app_key, bearer)
        if reply.status >= 300:
            raise malformed(
                "the engine redirects, which is not followed; correct base_url", reply.status
            )
        if wire is None:
            reason = "is no JSON" if reply.body is not None else f"exceeds {MAX_REPLY} bytes"
            raise malformed(f"the engine's reply {reason}", reply.status)
        return wire


def _without(error: UTDStreamException, *secrets: str | None) -> UTDStreamException:
    """Return `error` without the credentials, which an engine may quote as it refuses them."""
    message = error.message
    for secret in filter(None, secrets):
        message = message.replace(secret, "…")
    return UTDStreamException(
        message, code=error.code, status_code=error.status_code, retry_after=error.retry_after
    )


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


def _seconds_left(deadline: asyncio.Timeout) -> float:
    when = deadline.when()
    assert when is not None
    return when - asyncio.get_running_loop().time()
