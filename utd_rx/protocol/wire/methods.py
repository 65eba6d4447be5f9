"""How what a method raised travels: LiveKit's RpcError, in which our codes have a place.

| number | what it is here |
| --- | --- |
| LiveKit's own (1400 to 1505) | the row of `_BUILT_IN` |
| `OURS` | a UTD client's failure: its code is in `data`, as JSON |
| any other | `MethodFailed` with number and data as they came |
"""

from __future__ import annotations

import json
from typing import Final

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.methods import RESERVED, MethodFailed
from utd_rx.models.secrets import foreign_text
from utd_rx.protocol.wire.reading import parse_object

OURS: Final = 2000

APPLICATION_ERROR: Final = 1500
"""A method failed without a word."""

_BUILT_IN: Final = {
    1400: (UTDErrorCode.NOT_FOUND, "{to} serves no method {method!r}"),
    1401: (UTDErrorCode.NOT_FOUND, "{to} is not in the room"),
    1402: (UTDErrorCode.VALIDATION, "{to}'s client takes at most 15 KiB of payload"),
    1403: (UTDErrorCode.FEATURE_DISABLED, "the media server is too old for methods"),
    1404: (UTDErrorCode.FEATURE_DISABLED, "{to}'s client is of another version"),
    1501: (UTDErrorCode.TIMEOUT, "{to} did not take the call: it may serve no methods at all"),
    1502: (UTDErrorCode.TIMEOUT, "{to} did not answer in time"),
    1503: (UTDErrorCode.NOT_FOUND, "{to} left before it answered"),
    1504: (UTDErrorCode.VALIDATION, "the answer is larger than this client or {to}'s takes"),
    1505: (UTDErrorCode.NETWORK, "the call could not be sent"),
}


def failure_to_wire(error: UTDStreamException) -> tuple[int, str, str]:
    """Return number, message and data of what a method raised."""
    told = foreign_text(error.message)
    number = error.number if isinstance(error, MethodFailed) else None
    if isinstance(error, MethodFailed) and number is not None:
        return number, told, error.data.encode(errors="replace").decode()
    return OURS, told, json.dumps({"code": error.code.value})


def failure_from_wire(
    number: int, message: str, data: str, *, to: str, method: str
) -> UTDStreamException:
    """Return what a call of `method` failed with at `to`."""
    to = foreign_text(to)
    if number == APPLICATION_ERROR:
        return MethodFailed(
            f"{method!r} failed at {to}", code=UTDErrorCode.SERVER, number=number, data=data
        )
    if (known := _BUILT_IN.get(number)) is not None:
        code, words = known
        return UTDStreamException(words.format(to=to, method=method), code=code)
    told = foreign_text(message)
    if number in RESERVED:
        return UTDStreamException(f"{method!r} failed at {to}: {told}", code=UTDErrorCode.UNKNOWN)
    named = (parse_object(data) or {}).get("code") if number == OURS else None
    code = UTDErrorCode.from_wire(named) or UTDErrorCode.UNKNOWN
    return MethodFailed(told, code=code, number=number, data=data)
