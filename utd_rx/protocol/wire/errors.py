"""The error body of the engine (docs/contract.md, "Errors" and "Statuses")."""

from __future__ import annotations

import re
from typing import Final

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, classify_response
from utd_rx.models.secrets import MAX_TEXT, foreign_text
from utd_rx.protocol.wire.reading import Json, read_text, without_none

MESSAGE_KEYS: Final = ("message", "error", "detail")
"""Where a message may stand, in order of preference."""

# Not any "already": a seat that is taken already, or a callee who is on a call, is somebody else's.
_ALREADY: Final = re.compile(
    r"\balready (sits?\b|seated|pending|invited|ha(s|ve) )|"
    r"(seated|pending|invited|role \w+) already|you are already on a call",
    re.IGNORECASE,
)
_BUSY: Final = re.compile(r"callee is (already )?on a(nother)? call", re.IGNORECASE)

_REASONS: Final = {"caller_busy": ConflictReason.ALREADY, "callee_busy": ConflictReason.BUSY}
"""What our engine says beside `conflict` (docs/contract.md, "Calls")."""


def error_from_wire(
    status: int,
    wire: Json,
    *,
    retry_after: float | None = None,
    secrets: tuple[str | None, ...] = (),
) -> UTDStreamException:
    """Read a reply that is no success into the exception the caller gets.

    Its message is foreign text: one line, none of the `secrets`, nothing that a terminal obeys.
    """
    message = next((text for key in MESSAGE_KEYS if (text := read_text(wire.get(key)))), "")
    code = classify_response(status, message, wire.get("code"))
    is_conflict = code is UTDErrorCode.CONFLICT
    return UTDStreamException(
        foreign_text(message, *secrets) or f"the engine answered HTTP {status} without a message",
        code=code,
        status_code=status,
        retry_after=retry_after,
        reason=_reason(wire, message[:MAX_TEXT]) if is_conflict else None,
    )


def _reason(wire: Json, message: str) -> ConflictReason | None:
    if (told := _REASONS.get(read_text(wire.get("reason")) or "")) is not None:
        return told
    if _BUSY.search(message):
        return ConflictReason.BUSY
    return ConflictReason.ALREADY if _ALREADY.search(message) else None


def error_to_wire(
    message: str, code: UTDErrorCode, *, reason: str | None = None
) -> dict[str, object]:
    return without_none(message=message, code=code.value, reason=reason)
