"""1:1 calls."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from utd_rx.models.call import IncomingCall, UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.protocol.wire.calls import REASON_OF
from utd_rx.testing.strategies.fields import built
from utd_rx.testing.strategies.words import PEOPLE, WORDS, People

_LOCAL: Final = (UTDCallEndReason.ANSWERED_ELSEWHERE, UTDCallEndReason.LOST)
"""What no engine tells."""


@st.composite
def calls(draw: DrawFn, *statuses: UTDCallStatus, people: People = PEOPLE) -> UTDCall:
    """Calls of these statuses, or of any, as an engine tells them of two `people`; no credentials.

    Who answered is known from `ACTIVE` on, and how long and why only of those that are over.
    """
    status = draw(st.sampled_from(statuses or tuple(UTDCallStatus)))
    caller, callee = draw(st.lists(people, min_size=2, max_size=2, unique=True))
    is_over = status.is_terminal
    reason = _reason(draw, status) if is_over else None
    is_answered = status is UTDCallStatus.ACTIVE or (
        status is UTDCallStatus.ENDED
        and reason is not UTDCallEndReason.CALLER_CANCELLED
        and draw(st.booleans())
    )
    incoming = draw(built(IncomingCall, st.just(caller)))
    return UTDCall(
        incoming.call_id,
        status,
        incoming.type,
        room_name=incoming.call_id,
        caller_identity=caller,
        callee_identity=callee,
        caller_name=incoming.caller_name,
        callee_name=draw(st.none() | WORDS),
        metadata=incoming.metadata,
        created_at=incoming.created_at,
        answered_by=draw(st.sampled_from(["phone", "laptop"])) if is_answered else None,
        duration_seconds=float(draw(st.integers(0, 3600)) if is_answered else 0)
        if is_over
        else None,
        end_reason=reason,
    )


def _reason(draw: DrawFn, status: UTDCallStatus) -> UTDCallEndReason:
    if status in REASON_OF:
        return REASON_OF[status]
    others = [why for why in UTDCallEndReason if why not in (*REASON_OF.values(), *_LOCAL)]
    return draw(st.sampled_from(others))
