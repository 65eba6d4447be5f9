"""A 1:1 call as the engine reports it."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen

from utd_rx.models.checks import typed
from utd_rx.models.stream_type import UTDStreamType


class UTDCallStatus(Enum):
    """Where a call stands; `value` is the spelling on the wire."""

    INITIATING = "initiating"
    RINGING = "ringing"
    ACTIVE = "active"
    ENDED = "ended"
    REJECTED = "rejected"
    BUSY = "busy"
    MISSED = "missed"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing follows it."""
        return self not in (UTDCallStatus.INITIATING, UTDCallStatus.RINGING, UTDCallStatus.ACTIVE)


@frozen(field_transformer=typed)
class UTDCall:
    """A call; `token` and `url` are there for the party that is to join its room."""

    call_id: str
    status: UTDCallStatus
    type: UTDStreamType
    room_name: str | None = None
    token: str | None = field(default=None, repr=False)
    url: str | None = None
    caller_identity: str | None = None
    callee_identity: str | None = None
