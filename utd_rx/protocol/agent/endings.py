"""What the end of an agent's socket says: an error in the state, and what a command raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from utd_rx.errors import UTDErrorCode, UTDStreamException, classify_response
from utd_rx.models.agent import AgentError
from utd_rx.protocol.wire.atoms import http_status, is_fatal

NORMAL, SETUP_FAILED = 1000, 4000
"""Close codes with a meaning here (docs/agent.md, "How a connection ends")."""

FINAL_CODES: Final = (NORMAL, 4401, 4403)
"""Close codes after which another attempt is in vain, or not wanted."""


def error_of(code: int | None, message: str, *, is_silent: bool = False) -> AgentError:
    """Return the error of a socket's end.

    Args:
        code: The HTTP status that refused it, or its close code; None when it was lost.
        message: What happened.
        is_silent: Nobody answered any more.
    """
    if code is None:
        return AgentError("timeout" if is_silent else "network", message, retryable=True)
    # A success or a redirect is another server than was meant.
    is_final = code < 400 or code in FINAL_CODES or is_fatal(str(code))
    return AgentError(str(code), message, retryable=not is_final)


def exception_of(error: AgentError) -> UTDStreamException:
    """Return what a command raises for an error."""
    message = f"{error.message} ({error.code})"
    if status := http_status(error.code):
        code = classify_response(status, error.message)
        return UTDStreamException(message, code=code, status_code=status)
    code = CODES.get(error.code) or UTDErrorCode.from_wire(error.code) or UTDErrorCode.UNKNOWN
    return UTDStreamException(message, code=code)


CODES: Final[Mapping[str, UTDErrorCode]] = {
    "1000": UTDErrorCode.SERVER,
    "4000": UTDErrorCode.SERVER,
    "4401": UTDErrorCode.UNAUTHORIZED,
    "4403": UTDErrorCode.FORBIDDEN,
    "internal_error": UTDErrorCode.SERVER,
    "worker_not_ready": UTDErrorCode.SERVER,
}
"""The SDK's word for what is neither an HTTP status nor a word of the SDK."""
