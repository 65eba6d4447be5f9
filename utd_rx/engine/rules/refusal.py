"""Why the engine says no, and each reason's status and code (docs/contract.md, "Statuses")."""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import Final

from utd_rx.errors import UTDErrorCode


class Reason(Enum):
    """The kinds of refusal: each has one HTTP status and one error code."""

    def __init__(self, status: int, code: UTDErrorCode) -> None:
        self.status = status
        self.code = code

    VALIDATION = 422, UTDErrorCode.VALIDATION
    UNAUTHORIZED = 401, UTDErrorCode.UNAUTHORIZED
    FORBIDDEN = 403, UTDErrorCode.FORBIDDEN
    BANNED = 403, UTDErrorCode.BANNED
    NOT_FOUND = 404, UTDErrorCode.NOT_FOUND
    CONFLICT = 409, UTDErrorCode.CONFLICT
    TOO_LARGE = 413, UTDErrorCode.VALIDATION
    RATE_LIMITED = 429, UTDErrorCode.RATE_LIMITED
    INTERNAL = 500, UTDErrorCode.SERVER
    UNAVAILABLE = 503, UTDErrorCode.SERVER


class Refusal(Exception):
    """A command that is not carried out; the state is as it was before.

    `message` is for the developer at the other end: no secret. `retry_after` are seconds; `cause`
    says for programs which of several conflicts it is.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        retry_after: int | None = None,
        cause: str | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = reason.status
        self.message = message
        self.retry_after = retry_after
        self.cause = cause


invalid: Final = partial(Refusal, Reason.VALIDATION)
"""A field is missing, of the wrong type or out of range: 422."""

forbidden: Final = partial(Refusal, Reason.FORBIDDEN)
"""The caller may not do this, and is not banned: 403."""

banned: Final = partial(Refusal, Reason.BANNED, "User is banned")
"""In the words production uses: 403."""

not_found: Final = partial(Refusal, Reason.NOT_FOUND)
"""There is no such room, participant, seat or route: 404."""

conflict: Final = partial(Refusal, Reason.CONFLICT)
"""The state does not allow it now: 409."""
