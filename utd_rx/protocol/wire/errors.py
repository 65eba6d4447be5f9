"""The error body of the engine (facts/utd-engine.md §3.9, §7.4, 25)."""

from __future__ import annotations

from typing import Final

from utd_rx.errors import UTDErrorCode, UTDStreamException, classify_response
from utd_rx.protocol.wire.reading import Json, read_text

MESSAGE_KEYS = ("message", "error", "detail")
"""Where a message may stand, in order of preference."""

MAX_MESSAGE: Final = 500
"""Characters of a message that are kept: it ends in logs, and a reply may have a megabyte."""


def error_from_wire(
    status: int, wire: Json, *, retry_after: float | None = None
) -> UTDStreamException:
    """Read a reply that is no success into the exception the caller gets."""
    message = next((text for key in MESSAGE_KEYS if (text := read_text(wire.get(key)))), "")
    return UTDStreamException(
        message[:MAX_MESSAGE] or f"the engine answered HTTP {status} without a message",
        code=classify_response(status, message, wire.get("code")),
        status_code=status,
        retry_after=retry_after,
    )


def error_to_wire(message: str, code: UTDErrorCode) -> dict[str, object]:
    """Write an error body."""
    return {"message": message, "code": code.value}
