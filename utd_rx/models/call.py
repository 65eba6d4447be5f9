"""A 1:1 call as the engine reports it."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen

from utd_rx.models import html
from utd_rx.models.checks import typed
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.secrets import CREDENTIAL
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.models.value import Value


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


class UTDCallEndReason(Enum):
    """Why a call is over; `value` is the spelling on the wire (docs/contract.md, "Calls")."""

    CALLER_HANGUP = "caller_hangup"
    CALLEE_HANGUP = "callee_hangup"
    CALLER_CANCELLED = "caller_cancelled"
    REJECTED = "rejected"
    BUSY = "busy"
    RING_TIMEOUT = "ring_timeout"
    MAX_DURATION = "max_duration"
    PEER_LOST = "peer_lost"
    """One of the two was away for too long, or never came."""
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    """Another device of this user answered; the call goes on there. Never on the wire."""
    LOST = "lost"
    """The engine does not know the call any more, or does not say. Never on the wire."""
    UNKNOWN = "unknown"
    """The engine gave another reason, or none."""


@frozen(field_transformer=typed)
class UTDCall(Value):
    """A call; `token` and `url` are there for the party that is to join its room.

    Args:
        call_id: The engine's.
        status: Where it stands.
        type: Audio or video.
        room_name: Un-prefixed; the call's own id.
        token: What to join its room with.
        url: Where.
        caller_identity: Who dialled.
        callee_identity: Whom.
        caller_name: Their display name.
        callee_name: Their display name.
        metadata: What the caller said with it: JSON.
        created_at: When it was dialled, ISO 8601 UTC.
        answered_by: The callee's device that accepted it.
        duration_seconds: From the answer to the end; None before it is over.
        end_reason: Why it is over; None before.
    """

    call_id: str
    status: UTDCallStatus
    type: UTDStreamType
    room_name: str | None = None
    token: str | None = field(default=None, repr=False, metadata=CREDENTIAL)
    url: str | None = field(default=None, metadata=CREDENTIAL)
    caller_identity: str | None = None
    callee_identity: str | None = None
    caller_name: str | None = None
    callee_name: str | None = None
    metadata: FrozenMap[str, object] = field(factory=FrozenMap, repr=False)
    created_at: str | None = None
    answered_by: str | None = None
    duration_seconds: float | None = None
    end_reason: UTDCallEndReason | None = None

    def _repr_html_(self) -> str:
        parties = (
            ("caller", self.caller_name or self.caller_identity),
            ("callee", self.callee_name or self.callee_identity),
        )
        end = (("seconds", self.duration_seconds), ("ended by", self.end_reason))
        standing = (("call", self.call_id), ("type", self.type), ("status", self.status))
        return html.table((*standing, *parties, *(end if self.status.is_terminal else ())))


@frozen(field_transformer=typed)
class IncomingCall(Value):
    """Somebody calls this user; `metadata` is what they said with it."""

    call_id: str
    type: UTDStreamType
    caller_identity: str
    caller_name: str | None = None
    metadata: FrozenMap[str, object] = field(factory=FrozenMap, repr=False)
    created_at: str | None = None
