"""How one call stands for one device of a party (docs/contract.md, "Calls").

Theory of operation. What the engine says of the call comes in any order and more than once.
`FORWARD` is the lifecycle: what is told counts when it is further on than what is known, and what
is over stays over. Three things end the call for this device before the engine says so:

| | over as |
| --- | --- |
| it is active, and this is the callee's, who neither answered here nor is about to | elsewhere |
| the app hung up: this device is *out*, and the engine's word, or its silence, ends it | hung up |
| the engine has none for this user, or 60 s after its room was lost none brought it back | lost |
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, field, frozen

from utd_rx.errors import UTDStreamException
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.participant import TrackSource
from utd_rx.protocol.deadlines import earliest
from utd_rx.protocol.facts import Effects
from utd_rx.protocol.facts.calls import FetchCall
from utd_rx.protocol.ringing import GONE
from utd_rx.protocol.wire.calls import without_credentials

ASK_SECONDS: Final = 3.0
"""How often the engine is asked where neither room nor socket tells."""

RETRY_DELAYS: Final = (1.0, 2.0, 4.0, 8.0)
"""Seconds until it is asked again after an error; the last one repeats."""

LOST_SECONDS: Final = 60.0
"""How long a call goes on here without its room, or without a word of the engine."""

S = UTDCallStatus
FORWARD: Final[dict[UTDCallStatus, frozenset[UTDCallStatus]]] = {
    S.INITIATING: frozenset({S.RINGING, S.ACTIVE, S.REJECTED, S.BUSY, S.ENDED, S.MISSED}),
    S.RINGING: frozenset({S.ACTIVE, S.REJECTED, S.BUSY, S.ENDED, S.MISSED}),
    S.ACTIVE: frozenset({S.ENDED}),
    S.ENDED: frozenset(),
    S.REJECTED: frozenset(),
    S.BUSY: frozenset(),
    S.MISSED: frozenset(),
}
"""The lifecycle: what may be told of a call that stands so; anything else is late or known,
but an end that cannot be is one for a reason that nobody knows."""


@frozen
class CallOnHand:
    """The call that a session is about, until the next one.

    Args:
        call: How it stands for this device; without an id for one that was refused.
        is_joined: Whether this device takes part.
        is_out: Whether the app hung up; the engine's word on it is awaited.
        opens: What is switched on as soon as it may be published.
        answered_at: When this client learnt that it is active, monotonic seconds.
        duration: Whole seconds since then; in the end, what the engine says.
        lost_at: Since when it has gone on without its room, or a word; monotonic seconds.
        asks_at: When to ask the engine; None for not at all.
        is_asked: Whether the engine is being asked.
        failures: How often in a row it did not say.
        odd: How many ends were told that cannot be.
    """

    call: UTDCall = field(converter=without_credentials)
    is_joined: bool = False
    is_out: bool = False
    opens: tuple[TrackSource, ...] = ()
    answered_at: float | None = None
    duration: float | None = None
    lost_at: float | None = None
    asks_at: float | None = None
    is_asked: bool = False
    failures: int = 0
    odd: int = 0

    @property
    def id(self) -> str:
        """The call's; "" for one that was refused."""
        return self.call.call_id

    @property
    def is_over(self) -> bool:
        """Whether nothing follows."""
        return self.call.status.is_terminal

    @property
    def is_ours(self) -> bool:
        """Whether this device is in the call, and the app has not hung up."""
        return self.is_joined and not self.is_out and not self.is_over


def is_caller(call: UTDCall, identity: str) -> bool:
    """Whether `identity` dialled `call`; an engine may leave out who did."""
    if call.caller_identity is None:
        return call.callee_identity not in (None, identity)
    return call.caller_identity == identity


def begun(call: UTDCall) -> CallOnHand:
    """Return the call on hand, before anything was told of it."""
    return CallOnHand(evolve(call, status=S.INITIATING, end_reason=None, duration_seconds=None))


def told(
    on_hand: CallOnHand, call: UTDCall, now: float, *, identity: str, is_answering: bool
) -> CallOnHand:
    """Return it after the engine said how it stands; total.

    Args:
        on_hand: Before.
        call: What the engine said, of the same call.
        now: Monotonic seconds.
        identity: This client's.
        is_answering: Whether the app is accepting it here.
    """
    if on_hand.is_over:
        return on_hand
    status = on_hand.call.status
    on_hand = evolve(
        on_hand,
        call=_merged(on_hand.call, call),
        is_asked=False,
        asks_at=None,
        failures=0,
        lost_at=on_hand.lost_at if on_hand.is_joined or on_hand.is_out else None,
    )
    is_here = on_hand.is_joined or is_answering or is_caller(on_hand.call, identity)
    if call.status is S.ACTIVE and not is_here:
        # Also when it was told before, while this device was answering, too.
        on_hand = evolve(on_hand, answered_at=None, duration=None)
        return over(on_hand, UTDCallEndReason.ANSWERED_ELSEWHERE)
    if call.status not in FORWARD[status] and call.status.is_terminal:
        on_hand = evolve(on_hand, odd=on_hand.odd + 1)
        return over(on_hand, UTDCallEndReason.UNKNOWN, seconds=call.duration_seconds)
    if call.status not in FORWARD[status]:
        return on_hand
    if call.status.is_terminal:
        reason = call.end_reason or UTDCallEndReason.UNKNOWN
        return over(on_hand, reason, call.status, call.duration_seconds)
    if call.status is S.ACTIVE:
        on_hand = evolve(on_hand, answered_at=now, duration=0.0)
    return evolve(on_hand, call=evolve(on_hand.call, status=call.status))


def unheard(on_hand: CallOnHand, *, identity: str) -> CallOnHand:
    """Return it after the engine did not say what became of the hang-up."""
    is_out = on_hand.is_out and not on_hand.is_over
    return over(on_hand, hung_up(on_hand, identity)) if is_out else on_hand


def not_told(
    on_hand: CallOnHand, error: UTDStreamException, now: float, *, is_roomless: bool
) -> CallOnHand:
    """Return it after the engine did not say how it stands; `is_roomless`: nor does its room."""
    if on_hand.is_over or on_hand.is_out:
        return on_hand
    if error.code in GONE:
        return over(on_hand, UTDCallEndReason.LOST)
    return evolve(
        on_hand,
        is_asked=False,
        asks_at=now + RETRY_DELAYS[max(0, min(on_hand.failures, len(RETRY_DELAYS) - 1))],
        failures=on_hand.failures + 1,
        lost_at=now if is_roomless and on_hand.lost_at is None else on_hand.lost_at,
    )


def over(
    on_hand: CallOnHand,
    reason: UTDCallEndReason,
    status: UTDCallStatus = UTDCallStatus.ENDED,
    seconds: float | None = None,
) -> CallOnHand:
    """Return it when it is over, for this device at least; `seconds` are the engine's."""
    duration = on_hand.duration if seconds is None else seconds
    return CallOnHand(
        evolve(on_hand.call, status=status, end_reason=reason, duration_seconds=duration),
        is_joined=on_hand.is_joined,
        answered_at=on_hand.answered_at,
        duration=duration,
        odd=on_hand.odd,
    )


def hung_up(on_hand: CallOnHand, identity: str) -> UTDCallEndReason:
    """Return why a call is over that the app ended here."""
    if not is_caller(on_hand.call, identity):
        return UTDCallEndReason.CALLEE_HANGUP
    is_active = on_hand.call.status is S.ACTIVE
    return UTDCallEndReason.CALLER_HANGUP if is_active else UTDCallEndReason.CALLER_CANCELLED


def passed(on_hand: CallOnHand, now: float, *, identity: str) -> CallOnHand:
    """Return it after the time that has passed."""
    if on_hand.is_over:
        return on_hand
    if on_hand.lost_at is not None and now >= on_hand.lost_at + LOST_SECONDS:
        is_out = on_hand.is_out
        return over(on_hand, hung_up(on_hand, identity) if is_out else UTDCallEndReason.LOST)
    at = _next_second(on_hand)
    if at is None or now < at:
        return on_hand
    # At least the second that the deadline was for: differences of times are not exact.
    duration = max((on_hand.duration or 0.0) + 1.0, (now - (on_hand.answered_at or 0.0)) // 1.0)
    return evolve(on_hand, duration=duration)


def asking(on_hand: CallOnHand, now: float, *, is_blind: bool) -> tuple[CallOnHand, Effects]:
    """Ask how it stands when it is time to; `is_blind`: neither room nor socket tells."""
    if on_hand.is_over or on_hand.is_out:
        return on_hand, ()
    if on_hand.asks_at is not None and now >= on_hand.asks_at:
        return evolve(on_hand, asks_at=None, is_asked=True), (FetchCall(on_hand.id),)
    if is_blind and on_hand.asks_at is None and not on_hand.is_asked:
        return evolve(on_hand, asks_at=now + ASK_SECONDS), ()
    return on_hand, ()


def next_deadline(on_hand: CallOnHand) -> float | None:
    """Return when time alone changes something, None for never."""
    if on_hand.is_over:
        return None
    lost_at = None if on_hand.lost_at is None else on_hand.lost_at + LOST_SECONDS
    return earliest(lost_at, None if on_hand.is_out else on_hand.asks_at, _next_second(on_hand))


def _next_second(on_hand: CallOnHand) -> float | None:
    if on_hand.answered_at is None or on_hand.duration is None or on_hand.is_out:
        return None
    return on_hand.answered_at + on_hand.duration + 1.0


def _merged(known: UTDCall, more: UTDCall) -> UTDCall:
    """Return the call with what was not known of it; where it stands is another matter."""
    return evolve(
        known,
        room_name=known.room_name or more.room_name,
        caller_identity=known.caller_identity or more.caller_identity,
        callee_identity=known.callee_identity or more.callee_identity,
        caller_name=known.caller_name or more.caller_name,
        callee_name=known.callee_name or more.callee_name,
        metadata=known.metadata or more.metadata,
        created_at=known.created_at or more.created_at,
        answered_by=known.answered_by or more.answered_by,
    )
