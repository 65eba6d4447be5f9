"""What can be known to be wrong before anything is sent (facts/utd-engine.md §7.4, 26)."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.role import UTDRole
from utd_rx.models.seats import UTDSeatMode
from utd_rx.protocol.wire.seats import MAX_SEATS
from utd_rx.protocol.wire.tokens import VISIBLE_ASCII

MAX_IDENTITY: Final = 128

_ROOM_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
# Cc would break logs and headers; Cs, half of a surrogate pair, has no UTF-8 form at all.
_REFUSED_CATEGORIES: Final = ("Cc", "Cs")


def invalid(message: str) -> UTDStreamException:
    """Return the exception of an argument that is refused here, without a status."""
    return UTDStreamException(message, code=UTDErrorCode.VALIDATION)


def checked_identity(identity: str, what: str = "identity") -> str:
    """Return `identity`: 1–128 characters of any script without control characters.

    Raises:
        UTDStreamException: `VALIDATION`.
    """
    if not isinstance(identity, str) or not 1 <= len(identity) <= MAX_IDENTITY:
        raise invalid(f"{what} must be a string of 1 to {MAX_IDENTITY} characters")
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in identity):
        raise invalid(f"{what} must not contain control characters")
    return identity


def checked_room(room_name: str) -> str:
    """Return `room_name`: 1–128 of A–Z, a–z, 0–9, `_` and `-`.

    Raises:
        UTDStreamException: `VALIDATION`.
    """
    if not isinstance(room_name, str) or not _ROOM_NAME.fullmatch(room_name):
        raise invalid("room name must be 1 to 128 characters of A-Z, a-z, 0-9, _ and -")
    return room_name


def checked_int(value: int, what: str, least: int = 0, most: int = 2**53) -> int:
    """Return `value` when it is an integer from `least` to `most`; a bool is none.

    The upper end is where JSON numbers stop being exact for other readers.

    Raises:
        UTDStreamException: `VALIDATION`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        bound = f"of at least {least}" if most == 2**53 else f"from {least} to {most}"
        raise invalid(f"{what} must be an integer {bound}")
    return value


def checked_seat(index: int, what: str = "seat index") -> int:
    """Return a seat index: how many seats there are is for the engine to know.

    Raises:
        UTDStreamException: `VALIDATION`.
    """
    return checked_int(index, what)


def checked_grid(
    seat_count: int | None, seat_mode: UTDSeatMode | str | None, mode_id: str | None
) -> dict[str, object]:
    """Return the wire fields of a grid's set-up; those that are None are left out.

    Raises:
        UTDStreamException: `VALIDATION`.
    """
    fields: dict[str, object] = {}
    if seat_count is not None:
        fields["seat_count"] = checked_int(seat_count, "seat_count", 1, MAX_SEATS)
    if seat_mode is not None:
        try:
            fields["seat_mode"] = UTDSeatMode(seat_mode).value
        except ValueError as error:
            modes = ", ".join(mode.value for mode in UTDSeatMode)
            raise invalid(f"seat_mode must be one of {modes}") from error
    if mode_id is not None:
        fields["mode_id"] = mode_id
    return fields


def checked_role(role: UTDRole | str) -> str:
    """Return a role as it is spelled on the wire.

    Raises:
        UTDStreamException: `VALIDATION`.
    """
    try:
        return UTDRole(role).value
    except ValueError as error:
        roles = ", ".join(known.value for known in UTDRole)
        raise invalid(f"role must be one of {roles}") from error


def checked_secret(value: str, what: str) -> str:
    """Return a credential that may stand in a header; the message never repeats it.

    Raises:
        UTDStreamException: `VALIDATION`.
    """
    if not isinstance(value, str) or not VISIBLE_ASCII.fullmatch(value):
        raise invalid(f"{what} must be visible ASCII characters without spaces")
    return value
