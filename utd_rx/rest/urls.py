"""Where a call goes: checked base URLs and percent-encoded paths."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from yarl import URL

from utd_rx.errors import invalid
from utd_rx.ports.proxy import is_loopback

API_ROOT: Final = "/api/v1"
"""Base path of every endpoint (docs/contract.md, "Hosts and headers")."""

_PATH: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@%/]+")
_DOTS: Final = {".": "%2E", "..": "%2E%2E"}


def checked_base_url(base_url: str) -> URL:
    """Return `base_url` as a URL that keys and bearers may be sent to, or refuse it.

    The message does not repeat it, since it may hold a password.
    """
    try:
        url = URL(base_url)
    except (ValueError, TypeError) as error:
        raise invalid("base_url is not a URL") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise invalid("base_url must be an absolute https:// URL")
    if url.user is not None or url.password is not None or url.query_string or url.fragment:
        raise invalid("base_url must have no user, query or fragment")
    if url.scheme == "http" and not is_loopback(url.host):
        raise invalid("base_url must be https:// unless its host is this machine")
    return url.with_path(url.raw_path.rstrip("/"), encoded=True)


def path_of(*segments: str | int) -> str:
    """Join `segments` to a path in which each is one segment, whatever characters it has."""
    # quote() leaves dots alone, and ".." is a legal identity.
    return "/" + "/".join(_DOTS.get(str(s)) or quote(str(s), safe="") for s in segments)


def endpoint(base: URL, path: str, params: dict[str, str]) -> URL:
    """Return the URL of an encoded `path` under the API's root; one that climbs is refused."""
    if not _PATH.fullmatch(path) or any(part in _DOTS for part in path.split("/")):
        raise invalid("the path must be percent-encoded and without . and .. (see path_of)")
    root = str(base).rstrip("/") + API_ROOT
    url = URL(f"{root}/{path.removeprefix('/')}", encoded=True)
    return url.with_query(params) if params else url
