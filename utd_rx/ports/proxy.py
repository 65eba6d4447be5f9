"""Which proxy a connection goes through: one rule for REST and for media.

Two network stacks serve a client, and by themselves each has a rule of its own. So the client makes
one `Proxies`, a value, and both ask it.
"""

from __future__ import annotations

import ipaddress
import os
from base64 import b64encode
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from attrs import field, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException

_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@frozen
class Proxy:
    """An HTTP proxy; its `str` names it for people, without the credentials.

    Args:
        url: `http://host:port`, where needed `http://user:password@host:port`; percent-encoded.

    Raises:
        UTDStreamException: `VALIDATION`: no such url. The message does not repeat it.
    """

    url: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        try:
            is_proxy = self.url.isascii() and _is_http(urlsplit(self.url))
        except (ValueError, TypeError, AttributeError):
            is_proxy = False
        if not is_proxy:
            raise UTDStreamException(
                "a proxy must be an http:// URL with a host, and no path",
                code=UTDErrorCode.VALIDATION,
            )

    def __str__(self) -> str:
        return f"{self.host}:{urlsplit(self.url).port or _PORTS['http']}"

    @property
    def host(self) -> str:
        """Its host, without the port."""
        return urlsplit(self.url).hostname or ""

    @property
    def address(self) -> str:
        """Its url without the credentials."""
        return f"http://{urlsplit(self.url).netloc.rpartition('@')[2]}"

    @property
    def headers(self) -> dict[str, str]:
        """What it wants to see: the credentials, where the url has them."""
        parts = urlsplit(self.url)
        if parts.username is None and parts.password is None:
            return {}
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        return {"Proxy-Authorization": f"Basic {b64encode(user.encode()).decode()}"}

    @property
    def password(self) -> str | None:
        """What must not be told, decoded."""
        password = urlsplit(self.url).password
        return None if password is None else unquote(password)


@frozen
class Proxies:
    """The proxies of a client, and what is reached without; `of` makes it.

    Args:
        plain: For `http://` and `ws://`.
        tls: For `https://` and `wss://`.
        direct: What is not proxied, in the notation of `NO_PROXY`.
    """

    plain: Proxy | None = None
    tls: Proxy | None = None
    direct: str = ""

    @classmethod
    def of(
        cls,
        proxy: str | None = None,
        *,
        trust_env: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> Proxies:
        """Return the rule for these two words of aiohttp's.

        Args:
            proxy: For everything; goes before the environment's.
            trust_env: Whether `HTTP_PROXY` and `HTTPS_PROXY` count. They are read now, once.
            environment: Of the process; in it small letters go before capitals. `NO_PROXY` counts
                in any case: it says what a proxy cannot reach.

        Raises:
            UTDStreamException: `VALIDATION`: what is given is no HTTP proxy.
        """

        def said(name: str) -> str:
            return environment.get(name) or environment.get(name.upper()) or ""

        direct = said("no_proxy")
        if proxy is not None:
            return cls(Proxy(proxy), Proxy(proxy), direct)
        if not trust_env:
            return cls(direct=direct)
        # Where a request is served by CGI, HTTP_PROXY is that request's own header "Proxy".
        is_cgi = "REQUEST_METHOD" in environment
        plain = environment.get("http_proxy") if is_cgi else said("http_proxy")
        return cls(_named(plain), _named(said("https_proxy")), direct)

    def for_url(self, url: str) -> Proxy | None:
        """Return the proxy on the way to `url`; never one to this machine or past `NO_PROXY`.

        None also for what is no url: whoever goes there says what is wrong with it.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        proxy = self.tls if parts.scheme in ("https", "wss") else self.plain
        if proxy is None or not host or is_loopback(host):
            return None
        whole = f"{host}:{port or _PORTS.get(parts.scheme, 0)}"
        names = [f".{name.strip().lstrip('.')}" for name in self.direct.lower().split(",")]
        ends = tuple(name for name in names if name != ".")
        is_direct = ".*" in ends or f".{host}".endswith(ends) or f".{whole}".endswith(ends)
        return None if is_direct else proxy


DIRECT: Final = Proxies()
"""No proxy, whatever the environment says."""


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _named(url: str | None) -> Proxy | None:
    # In the environment a proxy often stands without its scheme, which curl reads as http.
    return Proxy(url if "://" in url else f"http://{url}") if url else None


def _is_http(parts: SplitResult) -> bool:
    is_bare = not (parts.path.strip("/") or parts.query or parts.fragment)
    return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0 and is_bare
