"""The two mints on the wire (docs/contract.md, "Minting")."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from attrs import asdict

from utd_rx.models.token import UTDSessionResponse, UTDTokenResponse
from utd_rx.protocol.wire.reading import (
    Json,
    parse_object,
    read_bool,
    read_int,
    read_number,
    read_object,
    read_text,
    without_none,
)

MAX_CREDENTIAL: Final = 256 * 1024
"""Characters of a key or a token: LiveKit's may hold metadata and attributes."""

VISIBLE_ASCII: Final = re.compile(rf"[\x21-\x7e]{{1,{MAX_CREDENTIAL}}}")
"""What may stand in a header, as both tokens must."""

_HOST: Final = re.compile(r"[\w.:-]+")


def token_from_wire(wire: Json) -> UTDTokenResponse | None:
    """Read a room mint; None without a token, a url and a bearer that can be joined with."""
    token, url = _visible(wire.get("token")), _media_url(wire.get("url"))
    user_token = _visible(wire.get("user_token"))
    if token is None or url is None or user_token is None:
        return None
    return UTDTokenResponse(
        token=token,
        url=url,
        room_name=read_text(wire.get("roomName")) or read_text(wire.get("room_name")) or "",
        user_token=user_token,
        ws_url=read_text(wire.get("ws_url")),
        role=read_text(wire.get("role")),
    )


def token_to_wire(reply: UTDTokenResponse) -> dict[str, object]:
    """Write a room mint; the name goes under both keys (docs/contract.md, "Names")."""
    return without_none(**asdict(reply), roomName=reply.room_name)


def session_from_wire(wire: Json) -> UTDSessionResponse | None:
    """Read a room-less mint; None without a bearer that can be sent."""
    user_token = _visible(wire.get("user_token"))
    if user_token is None:
        return None
    return UTDSessionResponse(
        user_token=user_token,
        ws_url=read_text(wire.get("ws_url")),
        signaling_enabled=read_bool(wire.get("signaling_enabled")),
        messaging_enabled=read_bool(wire.get("messaging_enabled")),
    )


def session_to_wire(reply: UTDSessionResponse) -> dict[str, object]:
    """Write a room-less mint; what is None is left out."""
    return without_none(**asdict(reply))


def lifetime_of(token: str) -> float | None:
    """Return the seconds from issue to expiry of a JWT, None for one that does not say.

    Its signature is its server's to check; here it only says when to ask for another one.
    """
    claims = _claims(token)
    issued, ends = read_number(claims.get("iat")), read_number(claims.get("exp"))
    return ends - issued if issued is not None and ends is not None and ends > issued else None


def metadata_in(token: str) -> str:
    """Return the metadata that whoever joins with a token has, "" where it does not say."""
    return read_text(_claims(token).get("metadata")) or ""


def bearer_and_room(token: str) -> tuple[str, str]:
    """Return whose LiveKit's token is and for which room, "" for what it does not say."""
    claims = _claims(token)
    grants = read_object(claims.get("video")) or {}
    return read_text(claims.get("sub")) or "", read_text(grants.get("room")) or ""


def expired_at(token: str, now: float) -> float | None:
    """Return when a JWT expired, in Unix time as `now`; None when it has not, or does not say."""
    ends = read_number(_claims(token).get("exp"))
    return ends if ends is not None and ends <= now else None


def out_of_date(token: str, now: float) -> str:
    """Return when a JWT ceased, or begins, to hold, as a sentence; "" when it holds `now`, Unix
    time in seconds, or does not say. `now` is this machine's: only a server can refuse by it."""
    claims = _claims(token)
    begins = read_number(claims.get("nbf"))
    if (ended := expired_at(token, now)) is not None:
        return f"the token expired at {_moment(ended)}, {now - ended:.0f} s ago"
    if begins is not None and begins > now:
        return f"the token holds from {_moment(begins)}, in {begins - now:.0f} s: check the clocks"
    return ""


def serial_in_metadata(metadata: str) -> int | None:
    """Return the growing serial of a participant's mint, which only our engine writes, or None."""
    wire = parse_object(metadata) if '"_mint"' in metadata else None
    return None if wire is None else read_int(wire.get("_mint"))


def _claims(token: str) -> Json:
    """Return what a JWT says, nothing of one that cannot be read."""
    _, _, rest = token.partition(".")
    payload = rest.partition(".")[0]
    try:
        return parse_object(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))) or {}
    except ValueError:
        return {}


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f}"


def _visible(value: object) -> str | None:
    text = read_text(value)
    return text if text is not None and VISIBLE_ASCII.fullmatch(text) else None


def _media_url(value: object) -> str | None:
    """Return an absolute URL of the schemes LiveKit joins with.

    LiveKit would refuse any other too, but as if the caller had chosen it.
    """
    url = _visible(value)
    if url is None or "\\" in url:  # which is "/" to LiveKit: the host is another one there
        return None
    try:
        parts = urlsplit(url)
        is_host = _HOST.fullmatch(parts.hostname or "") and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        return None
    return url if is_host and parts.scheme in ("ws", "wss", "http", "https") else None
