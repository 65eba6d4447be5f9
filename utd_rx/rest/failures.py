"""What can go wrong on the way, mapped once to the SDK's exception."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.secrets import foreign_text
from utd_rx.ports.proxy import Proxy

TRANSIENT_STATUSES: Final = (408, 429, 502, 503, 504)
"""Replies that say "not now" rather than "no"; a 500 is a failure that repeats itself."""

# A longer number of seconds than a day is nothing to wait for, but int() must not choke on it.
_SECONDS: Final = re.compile(r"\s*([0-9]{1,9})\s*")


class ProxyRefusal(Exception):
    """The cause of a failure that a proxy decided; aiohttp's own would hold the credentials."""


def transport_failure(
    error: Exception, proxy: Proxy | None, secrets: tuple[str | None, ...]
) -> UTDStreamException:
    """Return what the caller gets when the exchange itself failed, to be raised outside of the
    handler: aiohttp's errors may hold a head that was cut, which quotes whatever was sent, and the
    proxy's credentials. Only what TLS says travels along, as the cause."""
    # First: aiohttp's time-outs are connection errors too.
    if isinstance(error, TimeoutError):
        return timed_out(proxy, is_sent=not isinstance(error, aiohttp.ConnectionTimeoutError))
    if isinstance(error.__cause__, ContentEncodingError):
        return malformed("the engine's reply does not decompress")
    whom = f"the engine{_through(proxy)}"
    # Behind a proxy nobody but it is looked up here.
    is_proxys = aiohttp.ClientProxyConnectionError | aiohttp.ClientConnectorDNSError
    if proxy is not None and isinstance(error, is_proxys):
        whom = f"the proxy {proxy}"
    reason = foreign_text(str(error) or type(error).__name__, *secrets)
    failure = UTDStreamException(f"cannot reach {whom}: {reason}", code=UTDErrorCode.NETWORK)
    failure.__cause__ = error if isinstance(error, aiohttp.ClientSSLError) else None
    return failure


def proxy_refused(status: int, proxy: Proxy | None) -> UTDStreamException:
    """Return the failure of a call that a proxy did not let pass, which the engine never saw."""
    name = "the proxy" if proxy is None else f"the proxy {proxy}"
    message = f"cannot reach the engine: {name} answers HTTP {status}"
    failure = UTDStreamException(message, code=UTDErrorCode.NETWORK)
    failure.__cause__ = None if status in TRANSIENT_STATUSES else ProxyRefusal(status)
    return failure


def timed_out(proxy: Proxy | None = None, *, is_sent: bool = True) -> UTDStreamException:
    """Return the failure of a call whose time is over, and which may have been sent, or not."""
    message = f"the engine did not answer in time{_through(proxy)}: it may have done what was asked"
    if not is_sent:
        message = f"no connection to the engine in time{_through(proxy)}: nothing was sent"
    return UTDStreamException(message, code=UTDErrorCode.TIMEOUT)


def malformed(message: str, status: int | None = None) -> UTDStreamException:
    """Return the failure of a reply that makes no sense."""
    return UTDStreamException(message, code=UTDErrorCode.MALFORMED_RESPONSE, status_code=status)


def is_transient(error: UTDStreamException) -> bool:
    """Whether the same call may succeed a moment later."""
    if error.status_code is not None:
        return error.status_code in TRANSIENT_STATUSES
    # A certificate that is wrong now is wrong in a second, and so is a password: some are locked
    # out after three.
    return error.code in (UTDErrorCode.NETWORK, UTDErrorCode.TIMEOUT) and not isinstance(
        error.__cause__, aiohttp.ClientSSLError | ProxyRefusal
    )


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of a `Retry-After` header, given as such or as an HTTP date, which counts
    from the reply's own `Date` rather than from `now`, in Unix seconds: clocks disagree."""
    value = headers.get("Retry-After")
    if value is None:
        return None
    if seconds := _SECONDS.fullmatch(value):
        return float(seconds[1])
    until = _http_date(value)
    if until is None:
        return None
    return max(0.0, until - (_http_date(headers.get("Date", "")) or now))


def _through(proxy: Proxy | None) -> str:
    return "" if proxy is None else f" through the proxy {proxy}"


def _http_date(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
