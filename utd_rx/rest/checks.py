"""What can be known to be wrong before anything is sent (docs/contract.md, "Names").

Each check returns what it was given, and raises `VALIDATION` without a status for what cannot be.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

from yarl import URL

from utd_rx.errors import invalid
from utd_rx.models.checks import whole
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import UTDSeatMode
from utd_rx.ports.proxy import is_this_machine
from utd_rx.protocol.wire.reading import without_none
from utd_rx.protocol.wire.seats import MAX_SEATS
from utd_rx.protocol.wire.tokens import MAX_CREDENTIAL, VISIBLE_ASCII

MAX_IDENTITY: Final = 128

_ROOM_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
# Cc would break logs and headers; Cs, half of a surrogate pair, has no UTF-8 form at all.
_REFUSED_CATEGORIES: Final = ("Cc", "Cs")

API_ROOT: Final = "/api/v1"
"""Base path of every endpoint (docs/contract.md, "Hosts and headers")."""

_PATH: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@%/]+")
_DOTS: Final = {".": "%2E", "..": "%2E%2E"}


def checked_identity(identity: str, what: str = "identity") -> str:
    """Take 1–128 characters of any script without control characters."""
    if not isinstance(identity, str) or not 1 <= len(identity) <= MAX_IDENTITY:
        raise invalid(f"{what} must be a string of 1 to {MAX_IDENTITY} characters")
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in identity):
        raise invalid(f"{what} must not contain control characters")
    return identity


def checked_room(room_name: str, what: str = "room name") -> str:
    """Take 1–128 of A–Z, a–z, 0–9, `_` and `-`."""
    if not isinstance(room_name, str) or not _ROOM_NAME.fullmatch(room_name):
        raise invalid(f"{what} must be 1 to 128 characters of A-Z, a-z, 0-9, _ and -")
    return room_name


def checked_grid(
    seat_count: int | None, seat_mode: UTDSeatMode | str | None, mode_id: str | None
) -> dict[str, object]:
    """Return the wire fields of a grid's set-up; those that are None are left out."""
    if seat_count is not None:
        whole(seat_count, "seat_count", 1, MAX_SEATS)
    if seat_mode is not None:
        seat_mode = checked_choice(UTDSeatMode, seat_mode, "seat_mode")
    return without_none(seat_count=seat_count, seat_mode=seat_mode, mode_id=mode_id)


def checked_choice(
    kind: type[UTDRole] | type[UTDSeatMode], value: UTDRole | UTDSeatMode | str, what: str
) -> str:
    """Take a member of `kind`, or its spelling; return how the wire spells it."""
    try:
        return str(kind(value).value)
    except ValueError as error:
        choices = ", ".join(known.value for known in kind)
        raise invalid(f"{what} must be one of {choices}") from error


def checked_secret(value: str, what: str) -> str:
    """Take a credential that may stand in a header; the message never repeats it."""
    if not isinstance(value, str) or not VISIBLE_ASCII.fullmatch(value):
        raise invalid(
            f"{what} must be visible ASCII characters without spaces, at most {MAX_CREDENTIAL:,}"
        )
    return value


def checked_base_url(base_url: str) -> URL:
    """Return `base_url` as a URL for keys and bearers; an error does not repeat its password."""
    url = checked_url(base_url, "base_url", "http", "https")
    if url.query_string:
        raise invalid("base_url must have no query")
    return url.with_path(url.raw_path.rstrip("/"), encoded=True)


def checked_signal_url(ws_url: str) -> URL:
    """Return where the engine's socket is, as a URL for bearers; it may have a query."""
    return checked_url(ws_url, "ws_url", "ws", "wss")


def checked_url(text: str, what: str, plain: str, tls: str, *, allows_plain: bool = False) -> URL:
    """Take a URL with TLS, or on this machine, or, if told so, without TLS elsewhere, too."""
    try:
        url = URL(text)
    except (ValueError, TypeError) as error:
        raise invalid(f"{what} is not a URL") from error
    if url.scheme not in (plain, tls) or not url.host:
        raise invalid(f"{what} must be an absolute {tls}:// URL")
    if url.user is not None or url.password is not None or url.fragment:
        raise invalid(f"{what} must have no user or fragment")
    if url.scheme == plain and not allows_plain and not is_this_machine(url.host):
        raise invalid(f"{what} must be {tls}:// unless its host is this machine")
    return url


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
