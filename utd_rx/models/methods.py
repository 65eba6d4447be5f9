"""Methods that participants of a room call of each other: LiveKit's RPC."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException, invalid
from utd_rx.models.checks import typed, whole
from utd_rx.models.value import Value

RESERVED: Final = range(1001, 2000)
"""Numbers of LiveKit's own failures."""

MAX_NUMBER: Final = 2**32 - 1


class MethodFailed(UTDStreamException):
    """What another participant's method raised; raised in one of one's own, what its caller gets.

    Args:
        message: What happened, 256 bytes at most on the way.
        code: The kind of failure; of who is no UTD client it is `UNKNOWN`, or `SERVER` where the
            method failed without a word.
        number: LiveKit's `RpcError.code`, for callers that are no UTD clients: 0 to 2**32 - 1, but
            for 1001 to 1999, which are LiveKit's own. None is one for all of ours.
        data: LiveKit's `RpcError.data`, any text, 15 KiB at most on the way; with a `number` only.
    """

    def __init__(
        self,
        message: str,
        *,
        code: UTDErrorCode = UTDErrorCode.UNKNOWN,
        number: int | None = None,
        data: str = "",
    ) -> None:
        super().__init__(message, code=code)
        if number is not None:
            whole(number, "number", 0, MAX_NUMBER)
        if data and number is None:
            raise invalid("data needs a number")
        self.number = number
        self.data = data


@frozen(field_transformer=typed)
class MethodInvocation(Value):
    """A call of a method that this client serves.

    Attributes:
        number: Of the call, for who answers it.
        method: The name of the method.
        caller: The identity of who calls, as the media server vouches for it.
        payload: What was handed over, any text; believe nothing of it.
        timeout: Seconds for which the caller waits.
    """

    number: int
    method: str
    caller: str
    payload: str = field(repr=False)
    timeout: float
