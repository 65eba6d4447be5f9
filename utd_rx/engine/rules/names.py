"""What names may look like (docs/contract.md, "Names")."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from utd_rx.engine.rules.refusal import forbidden, invalid

MAX_IDENTITY_CHARS: Final = 128
MAX_IDENTITY_BYTES: Final = 256
"""Of UTF-8: livekit-server lets nobody join under a longer one."""
CALL_PREFIX: Final = "call_"
RESERVED_ROOMS: Final = frozenset({"ban", "bans"})
"""`/rooms/ban` and `/rooms/bans` are calls of their own, so such a room could not be reached."""

_ROOM_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")

# Cc: control characters. Cs: a lone half of a surrogate pair, which JSON can spell and UTF-8
# cannot, so no token could carry it.
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cs"})


def check_identity(identity: str, field: str = "identity") -> str:
    """Return `identity` when it is well formed."""
    if not 1 <= len(identity) <= MAX_IDENTITY_CHARS:
        raise invalid(f"{field} must have 1 to {MAX_IDENTITY_CHARS} characters")
    if not is_printable(identity):
        raise invalid(f"{field} must not contain control characters")
    if len(identity.encode()) > MAX_IDENTITY_BYTES:
        raise invalid(f"{field} must have at most {MAX_IDENTITY_BYTES} bytes of UTF-8")
    return identity


def is_printable(text: str) -> bool:
    """Whether `text` has no control characters and can be written as UTF-8."""
    return not any(unicodedata.category(char) in _REFUSED_CATEGORIES for char in text)


def check_room_name(name: str) -> None:
    if not is_room_name(name):
        raise invalid("room_name must be 1 to 128 alphanumeric characters, '_' or '-'")


def is_room_name(name: str) -> bool:
    return _ROOM_NAME.fullmatch(name) is not None


def refuse_reserved_room(name: str) -> None:
    """Refuse a call's room with 403 (docs/contract.md, "Rooms of calls"), another path with 422."""
    if is_call_room(name):
        raise forbidden(f"room names that start with {CALL_PREFIX!r} are reserved for calls")
    if name in RESERVED_ROOMS:
        raise invalid(f"room_name {name!r} is reserved: /rooms/{name} is about bans")


def is_call_room(name: str) -> bool:
    return name.startswith(CALL_PREFIX)
