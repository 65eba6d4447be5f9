"""Frames of the signal socket (docs/contract.md, "Signal socket")."""

from __future__ import annotations

from typing import Final

from utd_rx.models.call import UTDCall
from utd_rx.protocol.wire.calls import call_from_wire, without_credentials
from utd_rx.protocol.wire.reading import Json, read_object, read_text

MAX_FRAME: Final = 1_000_000
"""Bytes; a socket with a longer one is closed with 1009."""

STATUS_OF: Final = {
    "incoming": "initiating",
    "ringing": "ringing",
    "accepted": "active",
    "rejected": "rejected",
    "busy": "busy",
    "ended": "ended",
    "missed": "missed",
}
"""The kinds of frames about a call, and how it stands where the frame does not say."""

_PREFIX: Final = "call_"


def frame_from_wire(wire: Json) -> tuple[str, UTDCall] | None:
    """Read the kind and the call of a frame; None for any other."""
    kind = (read_text(wire.get("type")) or "").removeprefix(_PREFIX)
    status = STATUS_OF.get(kind)
    if status is None or wire.get("type") != _PREFIX + kind:
        return None
    call = call_from_wire({"status": status, **read_object(wire.get("call"))})
    return None if call is None else (kind, without_credentials(call))
