"""Which calls ring for the user who is signed in (docs/contract.md, "Signal socket").

Theory of operation. A call rings from the engine's `call_incoming` until anything says that it
rings no more: a frame, a session of this client, an answer. Those are remembered, so a frame that
comes again or late makes nothing ring again. A frame may be lost with its socket, so each ringing
call has a time at which the engine is asked about it; nothing rings for ever.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.call import IncomingCall, UTDCall, UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.protocol.deadlines import earliest

MAX_RINGING: Final = 100
MAX_REMEMBERED: Final = 1_000
"""Ids of calls that ring no more; beyond it the oldest is forgotten."""

MAX_ID: Final = 128
"""Characters of an id; the engine's have 29."""

RINGS: Final = (UTDCallStatus.INITIATING, UTDCallStatus.RINGING)

INCOMING: Final = "incoming"
"""The kind of the one frame that makes a call ring."""

GONE: Final = (
    UTDErrorCode.BANNED,
    UTDErrorCode.FEATURE_DISABLED,
    UTDErrorCode.FORBIDDEN,
    UTDErrorCode.NOT_FOUND,
    UTDErrorCode.UNAUTHORIZED,
    UTDErrorCode.VALIDATION,
)
"""What the engine answers about a call that is none of this user's any more."""


@frozen
class Ringing:
    """A call that rings, and when the engine is asked about it; None while it is."""

    call: IncomingCall
    asks_at: float | None


@frozen
class RingingCalls:
    """What rings; times are monotonic seconds.

    Args:
        identity: For whom.
        ringing: By id, in the order they came.
        quiet: The ids of calls that ring no more, the newest last.
        refused: How many frames meant nothing, or were too much.
        late: How many said that a call rings that is over.
    """

    identity: str | None = None
    ringing: FrozenMap[str, Ringing] = FrozenMap()
    quiet: tuple[str, ...] = ()
    refused: int = 0
    late: int = 0

    @property
    def incoming(self) -> tuple[IncomingCall, ...]:
        """The calls that ring."""
        return tuple(one.call for one in self.ringing.values())


def heard(calls: RingingCalls, kind: str, call: UTDCall, asks_at: float) -> RingingCalls:
    """Return what rings after a frame; what rings now is asked for at `asks_at`."""
    if len(call.call_id) > MAX_ID:
        return refused(calls)
    is_new = call.call_id not in calls.ringing and call.call_id not in calls.quiet
    if kind != INCOMING or not is_new or call.status not in RINGS:
        return told(calls, call, asks_at)
    caller = call.caller_identity
    is_ours = call.callee_identity in (None, calls.identity) and caller != calls.identity
    if caller is None or not is_ours or len(calls.ringing) >= MAX_RINGING:
        return refused(calls)
    incoming = IncomingCall(
        call.call_id, call.type, caller, call.caller_name, call.metadata, call.created_at
    )
    return evolve(calls, ringing=calls.ringing.set(call.call_id, Ringing(incoming, asks_at)))


def refused(calls: RingingCalls) -> RingingCalls:
    """Count a frame that means nothing."""
    return evolve(calls, refused=calls.refused + 1)


def told(calls: RingingCalls, call: UTDCall, asks_at: float) -> RingingCalls:
    """Return what rings after anybody said how a call stands: it only ever ceases to ring."""
    if call.status not in RINGS:
        # A caller's own never rings here, whatever comes.
        return calls if call.caller_identity == calls.identity else _quiet(calls, call.call_id)
    if call.call_id in calls.ringing:
        return _asked(calls, call.call_id, asks_at)
    return evolve(calls, late=calls.late + 1) if call.call_id in calls.quiet else calls


def not_told(
    calls: RingingCalls, call_id: str, error: UTDStreamException, asks_at: float
) -> RingingCalls:
    """Return what rings after the engine did not say how a call stands."""
    if call_id not in calls.ringing:
        return calls
    return _quiet(calls, call_id) if error.code in GONE else _asked(calls, call_id, asks_at)


def asking(calls: RingingCalls, now: float) -> tuple[RingingCalls, tuple[str, ...]]:
    """Return which calls the engine is to be asked about now."""
    due = [
        call_id
        for call_id, one in calls.ringing.items()
        if one.asks_at is not None and one.asks_at <= now
    ]
    for call_id in due:
        calls = _asked(calls, call_id, None)
    return calls, tuple(due)


def in_doubt(calls: RingingCalls, asks_at: float) -> RingingCalls:
    """Have all of them asked for at that time, unless they are told of before."""
    for call_id in calls.ringing:
        calls = _asked(calls, call_id, asks_at)
    return calls


def next_deadline(calls: RingingCalls) -> float | None:
    """Return when the engine is to be asked next, None for never."""
    return earliest(*(one.asks_at for one in calls.ringing.values()))


def _quiet(calls: RingingCalls, call_id: str) -> RingingCalls:
    if call_id in calls.quiet:
        return calls
    ringing = calls.ringing.remove(call_id) if call_id in calls.ringing else calls.ringing
    return evolve(calls, ringing=ringing, quiet=(*calls.quiet, call_id)[-MAX_REMEMBERED:])


def _asked(calls: RingingCalls, call_id: str, at: float | None) -> RingingCalls:
    one = evolve(calls.ringing[call_id], asks_at=at)
    return evolve(calls, ringing=calls.ringing.set(call_id, one))
