"""The page's routes: its files, and the stream of what goes on.

Its files are no secret; the stream is, and so is the app key in its first line. So it asks for the
page's own key, which stands behind the `#` of the page's address: a browser sends that part to
nobody. All of it is for this machine alone, whatever the engine listens on, and under names of
this machine alone: a name that leads here from elsewhere is another site's.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from importlib.resources import files
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from attrs import frozen

from utd_rx.engine.page.feed import PageFeed
from utd_rx.engine.routes.http import Context
from utd_rx.engine.rules.refusal import Reason, Refusal, forbidden
from utd_rx.engine.serving import trust

KEY: Final = "X-Page-Key"
"""The header of the page's key."""

STREAM: Final = "/page/stream"

FILES: Final = {
    "/": ("index.html", "text/html"),
    "/page/icon.svg": ("icon.svg", "image/svg+xml"),
    "/page/page.css": ("page.css", "text/css"),
    "/page/page.js": ("page.js", "text/javascript"),
    "/page/drawing.js": ("drawing.js", "text/javascript"),
    "/page/visit.js": ("visit.js", "text/javascript"),
    "/page/livekit-client.js": ("livekit-client.js", "text/javascript"),
    "/page/livekit-client.LICENSES.txt": ("livekit-client.LICENSES.txt", "text/plain"),
}
"""By path: the file, and what it is."""

_STATIC: Final = files("utd_rx.engine.page") / "static"


def policy(livekit_url: str) -> str:
    """Return the Content-Security-Policy: nothing but the page's own files, and the one media
    server, over either of its schemes."""
    media = urlsplit(livekit_url)
    schemes = ("wss", "https") if media.scheme in ("wss", "https") else ("ws", "http")
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": " ".join(("'self'", *(f"{one}://{media.netloc}" for one in schemes))),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def is_of_this_machine(remote: str | None, host: str) -> bool:
    """Whether a request from `remote`, an address, comes from this machine, and asks for it by a
    name of its own, the field `Host`."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return _is_loopback(remote) and (name == "localhost" or _is_loopback(name))


def _is_loopback(text: str | None) -> bool:
    try:
        address = ip_address(text or "")
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


@frozen
class Page:
    """The engine's page.

    Args:
        context: What the engine serves.
        feed: What goes on in it.
    """

    context: Context
    feed: PageFeed

    def routes(self) -> list[tuple[str, str, Handler]]:
        """Return method, path and handler of each."""
        told = {
            "Content-Security-Policy": policy(self.context.livekit_url),
            "Cache-Control": "no-cache",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "microphone=(self)",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        found = [("GET", path, _file(*file, told)) for path, file in FILES.items()]
        return [*found, ("GET", STREAM, self._stream)]

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Serve lines of JSON until the page or the engine is gone."""
        _let_in(request)
        key = self.context.secrets.page_key
        shown = request.headers.get(KEY, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, key.encode()):
            message = "this address of the page is not of this engine; take the one it printed"
            raise Refusal(Reason.UNAUTHORIZED, message)
        trust(request)
        response = web.StreamResponse(headers={"Cache-Control": "no-store"})
        response.content_type = "application/x-ndjson"
        async with aclosing(self._lines()) as lines:
            async for line in lines:
                if not response.prepared:
                    await response.prepare(request)
                await response.write(line)
        return response

    async def _lines(self) -> AsyncGenerator[bytes]:
        secrets = self.context.secrets
        app = {"app_id": secrets.app_id, "app_key": secrets.app_key}
        first: dict[str, object] = {"app": app}
        async with aclosing(self.feed.watch(self.context.core)) as news:
            async for one in news:
                yield json.dumps({**first, **one}).encode() + b"\n"
                first = {}


def _file(name: str, kind: str, headers: dict[str, str]) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        _let_in(request)
        text = (_STATIC / name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=kind, charset="utf-8", headers=headers)

    return handle


def _let_in(request: web.Request) -> None:
    if not is_of_this_machine(request.remote, request.host):
        raise forbidden("the page is for this machine alone, as 127.0.0.1 or localhost")
    if request.headers.get(hdrs.ORIGIN, f"http://{request.host}") != f"http://{request.host}":
        raise forbidden("the page is for itself alone")
