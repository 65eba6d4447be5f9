"""The one exception of the SDK and the closed set of its codes.

Every failure that reaches an application is a `UTDStreamException`; `code` says what kind it is,
`message` what to do about it. The codes are the engine's (docs/contract.md, "Errors").

What a caller hands over and cannot be, of a wrong type or out of its range, is refused in one way
everywhere, by a function, a method or a value's constructor: with `invalid`, a `VALIDATION` that is
a `ValueError` as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import Final


class UTDErrorCode(Enum):
    """What kind of failure it is; `value` is the spelling on the wire."""

    BANNED = "banned"
    FORBIDDEN = "forbidden"
    FEATURE_DISABLED = "featureDisabled"
    RATE_LIMITED = "rateLimited"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "notFound"
    CONFLICT = "conflict"
    VALIDATION = "validation"
    NETWORK = "network"
    TIMEOUT = "timeout"
    SERVER = "server"
    MALFORMED_RESPONSE = "malformedResponse"
    UNKNOWN = "unknown"

    @classmethod
    def from_wire(cls, value: object) -> UTDErrorCode | None:
        """Return the code spelled `value`, or None when it is no known spelling."""
        with suppress(ValueError):
            return cls(value)
        return None


class ConflictReason(Enum):
    """Why a command met `CONFLICT`, for programs that go on differently."""

    NOT_JOINED = "not joined"
    """It needs a room that is joined, or a device that is open: join or open it first."""
    ALREADY = "already so"
    """Joined, connecting, open or seated already: there is nothing to do, or leave first."""
    BUSY = "busy"
    """Another command of its kind is under way, somebody else holds the device, or whom one calls
    is on a call: wait."""
    OVERTAKEN = "overtaken"
    """A later command, or somebody else's, undid it before it stood."""
    LEFT = "left"
    """The room was left, or the connection ended, while it waited."""
    REPLACED = "replaced"
    """The same identity joined from somewhere else and took this connection's place."""
    FOREIGN_LOOP = "foreign loop"
    """Called on another event loop than it belongs to: hand the call over to that one."""
    CLOSED = "closed"
    """What it was called on is closed for good: make another one."""
    REFUSED = "refused"
    """The server says that the state of things does not allow it, as for a seat that is taken."""


_ADVICE: Final = {
    UTDErrorCode.BANNED: "a host or admin may lift it",
    UTDErrorCode.FORBIDDEN: "who may is the engine's to say: ask a host or admin",
    UTDErrorCode.FEATURE_DISABLED: "the project's settings have it switched off",
    UTDErrorCode.RATE_LIMITED: "wait before the next try",
    UTDErrorCode.UNAUTHORIZED: "check app id and key, or sign in again",
    UTDErrorCode.NOT_FOUND: "the session's streams show what is there",
    UTDErrorCode.CONFLICT: "the session's streams show how things stand",
    UTDErrorCode.SERVER: "nothing is wrong here: try again later",
}
"""What to do, where the words are a server's; our own say it themselves."""


MAX_MESSAGE: Final = 2_000
"""Characters of a message: it ends in logs, and may name what others made of any length."""


class UTDStreamException(Exception):
    """A failure of the SDK, with the engine's status and code where there were any.

    Its `str` is code, message and what to do.

    Args:
        message: What happened and what to do, fit to show to a developer; never holds a secret. Of
            one beyond 2,000 characters the beginning is kept.
        code: The kind of failure.
        status_code: The HTTP status, None when no reply arrived or none was involved.
        retry_after: Seconds the server asked to wait, None when it did not say.
        reason: What kind of `CONFLICT`, None for every other code.
        expired_at: When the token that was refused had expired by this machine's clock, in Unix
            time; None when it had not, or none was refused.
    """

    def __init__(
        self,
        message: str,
        *,
        code: UTDErrorCode = UTDErrorCode.UNKNOWN,
        status_code: int | None = None,
        retry_after: float | None = None,
        reason: ConflictReason | None = None,
        expired_at: float | None = None,
    ) -> None:
        message = message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"
        super().__init__(message)
        self.message = message
        self.code = code
        self.status_code = status_code
        self.retry_after = retry_after
        is_plain = reason is None and code is UTDErrorCode.CONFLICT
        self.reason = ConflictReason.REFUSED if is_plain else reason
        self.expired_at = expired_at

    def __str__(self) -> str:
        reason = None if self.reason is ConflictReason.REFUSED else self.reason
        kind = self.code.name if reason is None else f"{self.code.name}, {reason.value}"
        advice = "" if self.status_code is None else _ADVICE.get(self.code, "")
        if self.retry_after is not None:
            advice = f"try again in {self.retry_after:g} s"
        return f"{kind}: {self.message}" + (f" ({advice})" if advice else "")

    def __repr__(self) -> str:
        status = "" if self.status_code is None else f", status_code={self.status_code}"
        return f"UTDStreamException({self.message!r}, code={self.code.name}{status})"

    @property
    def is_banned(self) -> bool:
        """The user is banned from the room or the project; any other 403 is not a ban."""
        return self.code is UTDErrorCode.BANNED

    @property
    def is_rate_limited(self) -> bool:
        """The server asked to slow down; see `retry_after`."""
        return self.code is UTDErrorCode.RATE_LIMITED

    @property
    def is_forbidden(self) -> bool:
        """The user may not do this, and is not banned."""
        return self.code is UTDErrorCode.FORBIDDEN

    @property
    def is_feature_disabled(self) -> bool:
        """The project has this capability switched off."""
        return self.code is UTDErrorCode.FEATURE_DISABLED


class InvalidValue(UTDStreamException, ValueError):
    """What was handed over is refused here; to Python it is a `ValueError`, too."""


def invalid(message: str) -> InvalidValue:
    """Return a `VALIDATION`: what was handed over is refused here."""
    return InvalidValue(message, code=UTDErrorCode.VALIDATION)


def words_of(error: Exception) -> str:
    """Return what an error says, to be said within another: of ours without its code."""
    return error.message if isinstance(error, UTDStreamException) else str(error)


def foreign_failure(
    message: str, error: BaseException, *, code: UTDErrorCode = UTDErrorCode.UNKNOWN
) -> UTDStreamException:
    """Return what failed by an error that is not ours, its cause: with its type, and not what it
    says, which may be anything, for this one is state, and recorded."""
    failure = UTDStreamException(f"{message}: {type(error).__name__}", code=code)
    failure.__cause__ = error
    return failure


def conflict(reason: ConflictReason, message: str) -> UTDStreamException:
    """Return a `CONFLICT` that a program can tell from the others."""
    return UTDStreamException(message, code=UTDErrorCode.CONFLICT, reason=reason)


CODE_BY_STATUS: Final[dict[int, UTDErrorCode]] = {
    400: UTDErrorCode.VALIDATION,
    401: UTDErrorCode.UNAUTHORIZED,
    403: UTDErrorCode.FORBIDDEN,
    404: UTDErrorCode.NOT_FOUND,
    408: UTDErrorCode.TIMEOUT,
    409: UTDErrorCode.CONFLICT,
    413: UTDErrorCode.VALIDATION,
    415: UTDErrorCode.VALIDATION,
    422: UTDErrorCode.VALIDATION,
    429: UTDErrorCode.RATE_LIMITED,
    504: UTDErrorCode.TIMEOUT,
}
"""HTTP status to code, where the engine sent no code of its own; other 5xx are `SERVER`."""

# An engine of the original's kind sends no code, so a 403 is told apart by its words: in
# production only "User is banned" is a ban (docs/contract.md, "Errors"), and a missing capability
# says that something is "not enabled", "not available" or "disabled".
_BAN_WORDS: Final = ("is banned", "are banned", "been banned")
_FEATURE_WORDS: Final = ("not enabled", "not available", "disabled")


def classify_response(status: int, message: str, code: object = None) -> UTDErrorCode:
    """Return the code of a reply that is no success: its own, as it came from JSON, if known."""
    known = UTDErrorCode.from_wire(code)
    if known is not None:
        return known
    if status == 403:
        words = message.lower()
        if any(ban in words for ban in _BAN_WORDS):
            return UTDErrorCode.BANNED
        if any(feature in words for feature in _FEATURE_WORDS):
            return UTDErrorCode.FEATURE_DISABLED
    default = UTDErrorCode.SERVER if status >= 500 else UTDErrorCode.UNKNOWN
    return CODE_BY_STATUS.get(status, default)


@contextmanager
def needing_extra(what: str, extra: str) -> Iterator[None]:
    """Import in here what the extra brings: an `ImportError` then names the command to get it."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").startswith("utd_rx"):
            raise
        message = f"{what} needs more than is installed ({error}): pip install 'utd-rx[{extra}]'"
        raise type(error)(message, name=error.name, path=error.path) from error
