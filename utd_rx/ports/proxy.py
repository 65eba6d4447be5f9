"""Which proxy a connection goes through: one rule for REST and for media, whose two network stacks
would by themselves have one each."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from utd_rx.errors import invalid
from utd_rx.models.checks import flag, typed

_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_SHORT: Final = re.compile(r"[0-9a-fx]+(?:\.[0-9a-fx]+){0,3}")


@frozen
class Proxy:
    """An HTTP proxy, `http://host:port` or `http://user:password@host:port`, percent-encoded.

    Its `str` names it for people, without the credentials; no error repeats its url.
    """

    url: str = field(repr=False)

    def __attrs_post_init__(self) -> None:
        with suppress(ValueError, TypeError, AttributeError):
            parts = urlsplit(self.url)
            is_bare = not (parts.path.strip("/") or parts.query or parts.fragment)
            is_http = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
            if is_http and is_bare and self.url.isascii():
                return
        raise invalid("a proxy must be an http:// URL with a host, and no path")

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or _PORTS['http']}"

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


@frozen(field_transformer=typed)
class Proxies:
    """The proxies of a client, for http and TLS, and what is `direct`, as `NO_PROXY` says it."""

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
        """Return the rule for these two words of aiohttp's, or raise `VALIDATION`.

        `proxy` goes before the environment, which is read once, small letters before capitals.
        `NO_PROXY` counts in any case: it says what a proxy cannot reach.
        """

        def said(name: str) -> str:
            return environment.get(name) or environment.get(name.upper()) or ""

        flag(trust_env, "trust_env")
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
        """Return the proxy on the way to `url`; none to this machine, nor to what is no url."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            return None
        proxy = self.tls if parts.scheme in ("https", "wss") else self.plain
        if proxy is None or not host or is_this_machine(host):
            return None
        whole = f"{host}:{port or _PORTS.get(parts.scheme, 0)}"
        names = [f".{name.strip().lstrip('.')}" for name in self.direct.lower().split(",")]
        ends = tuple(name for name in names if name != ".")
        is_direct = ".*" in ends or f".{host}".endswith(ends) or f".{whole}".endswith(ends)
        return None if is_direct else proxy


DIRECT: Final = Proxies()
"""No proxy, whatever the environment says."""


def is_this_machine(host: str) -> bool:
    """Whether `host` names this machine: loopback, or an address of its own, never a name that is
    looked up elsewhere."""
    host = host.lower().removesuffix(".")
    if host == "localhost":
        return True
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        address = getattr(address, "ipv4_mapped", None) or address
        return address.is_loopback or _is_own(address)
    # In short: "127.1" and "0x7f.1", as every resolver reads them.
    try:
        return _SHORT.fullmatch(host) is not None and socket.inet_aton(host)[0] == 127
    except OSError:
        return False


def _is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an interface of this machine has it: only to those does one go from themselves."""
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))  # of UDP: finds the way, and sends nothing
            return str(probe.getsockname()[0]) == str(address)
    except OSError:
        return False


def is_clear_text(url: str) -> bool:
    """Whether what goes to `url` goes to another machine for everybody to read."""
    with suppress(ValueError):
        # What dials it takes "\" for "/", as browsers do: what is behind one is no host.
        parts = urlsplit(url.replace("\\", "/"))
        return parts.scheme.lower() in ("http", "ws") and not is_this_machine(parts.hostname or "")
    return False  # no url at all; whoever dials it says so


def _named(url: str | None) -> Proxy | None:
    # In the environment a proxy often stands without its scheme, which curl reads as http.
    return Proxy(url if "://" in url else f"http://{url}") if url else None
