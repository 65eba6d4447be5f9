"""The lifecycle of one call: every status and every deed, by either party and a stranger."""

from __future__ import annotations

from typing import Final

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from utd_rx.engine.rules import calls
from utd_rx.engine.rules.calls import AWAY_SECONDS, Call, Deed, Outcome, Party
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.stream_type import UTDStreamType

T0: Final = 100.0
LONGEST: Final = 3600.0
ACTS: Final = (Deed.RINGING, Deed.ACCEPT, Deed.REJECT, Deed.BUSY, Deed.END)
HAPPENINGS: Final = (Deed.RING_TIMEOUT, Deed.MAX_DURATION, Deed.PEER_LOST)

EXPECTED: Final = """
            ringing accept reject   busy  end   time-out max   lost
initiating  ringing active rejected busy  ended missed   -     ended
ringing     same    active rejected busy  ended missed   -     ended
active      409     device 409      409   ended -        ended ended
ended       409     409    409      409   same  -        -     -
rejected    409     409    409      409   same  -        -     -
busy        409     409    409      409   same  -        -     -
missed      409     409    409      409   same  -        -     -
"""
"""The table of docs/contract.md, "Calls", written out."""

OUTCOMES: Final = {
    "same": Outcome.SAME,
    "409": Outcome.NO,
    "-": Outcome.NOTHING,
    "device": Outcome.SAME_DEVICE,
}
ROWS: Final = [line.split() for line in EXPECTED.strip().splitlines()[1:]]
CELLS: Final = [
    (UTDCallStatus(name), deed, OUTCOMES.get(cell) or UTDCallStatus(cell))
    for name, *cells in ROWS
    for deed, cell in zip(Deed, cells, strict=True)
]


def a_call() -> Call:
    told = UTDCall("call_1", UTDCallStatus.INITIATING, UTDStreamType.AUDIO_CALL)
    call = Call(told, Party("sara", lost_at=T0 + AWAY_SECONDS), Party("mona"), T0 + 30.0)
    return calls.admit(call, "sara", "s1", 7)


def act(call: Call, deed: Deed, who: str, device: str = "", now: float = T0) -> Call:
    return calls.do(call, deed, who, device or f"{who[0]}1", now, longest=LONGEST)


def at(status: UTDCallStatus) -> Call:
    """A call that stands so, as it came there."""
    call = a_call()
    match status:
        case UTDCallStatus.RINGING:
            return act(call, Deed.RINGING, "mona")
        case UTDCallStatus.ACTIVE:
            return act(call, Deed.ACCEPT, "mona")
        case UTDCallStatus.ENDED:
            return act(act(call, Deed.ACCEPT, "mona"), Deed.END, "sara")
        case UTDCallStatus.REJECTED:
            return act(call, Deed.REJECT, "mona")
        case UTDCallStatus.BUSY:
            return act(call, Deed.BUSY, "mona")
        case UTDCallStatus.MISSED:
            return calls.happen(call, Deed.RING_TIMEOUT, T0)
    return call


def refusal(call: Call, deed: Deed, who: str, device: str = "") -> int:
    with pytest.raises(Refusal) as caught:
        act(call, deed, who, device)
    return caught.value.status


def test_the_table_has_every_cell() -> None:
    assert set(calls.TABLE) == set(UTDCallStatus)
    assert all(len(row) == len(Deed) for row in calls.TABLE.values())
    assert len(CELLS) == len(UTDCallStatus) * len(Deed)


@pytest.mark.parametrize(("status", "deed", "expected"), CELLS)
def test_every_status_and_every_deed(
    status: UTDCallStatus, deed: Deed, expected: UTDCallStatus | Outcome
) -> None:
    call = at(status)
    assert call.status is status
    if deed in HAPPENINGS:
        after = calls.happen(call, deed, T0)
        if expected is Outcome.NOTHING:
            assert after is call
        else:
            assert after.status is expected
        return
    match expected:
        case UTDCallStatus():
            assert act(call, deed, "mona").status is expected
        case Outcome.SAME:
            assert act(call, deed, "mona") is call
        case Outcome.SAME_DEVICE:
            assert act(call, deed, "mona", "m1") is call
            assert refusal(call, deed, "mona", "m2") == 409
        case _:
            assert refusal(call, deed, "mona") == 409


@pytest.mark.parametrize("status", UTDCallStatus)
@pytest.mark.parametrize("deed", ACTS)
def test_the_caller_only_ends_and_a_stranger_does_nothing(
    status: UTDCallStatus, deed: Deed
) -> None:
    call = at(status)
    assert refusal(call, deed, "eve") == 403
    if deed is not Deed.END:
        assert refusal(call, deed, "sara") == 403
    elif status.is_terminal:
        assert act(call, deed, "sara") is call
    else:
        assert act(call, deed, "sara").status is UTDCallStatus.ENDED


@pytest.mark.parametrize("status", UTDCallStatus)
def test_a_status_only_goes_forward_and_the_last_one_says_why(status: UTDCallStatus) -> None:
    order = {UTDCallStatus.INITIATING: 0, UTDCallStatus.RINGING: 1, UTDCallStatus.ACTIVE: 2}
    for deed in Deed:
        found = calls.outcome_of(status, deed)
        if isinstance(found, UTDCallStatus):
            assert order.get(found, 3) > order.get(status, 3)
    call = at(status)
    assert (call.told.end_reason is not None) == status.is_terminal == (call.over_at is not None)
    assert (call.told.duration_seconds is not None) == status.is_terminal
    assert (calls.due(call) is None) == status.is_terminal


@pytest.mark.parametrize(
    ("status", "who", "reason"),
    [
        (UTDCallStatus.INITIATING, "sara", UTDCallEndReason.CALLER_CANCELLED),
        (UTDCallStatus.RINGING, "sara", UTDCallEndReason.CALLER_CANCELLED),
        (UTDCallStatus.RINGING, "mona", UTDCallEndReason.CALLEE_HANGUP),
        (UTDCallStatus.ACTIVE, "sara", UTDCallEndReason.CALLER_HANGUP),
        (UTDCallStatus.ACTIVE, "mona", UTDCallEndReason.CALLEE_HANGUP),
    ],
)
def test_who_ended_it(status: UTDCallStatus, who: str, reason: UTDCallEndReason) -> None:
    assert act(at(status), Deed.END, who).told.end_reason is reason


def test_the_duration_is_whole_seconds_since_the_answer() -> None:
    call = act(a_call(), Deed.ACCEPT, "mona", now=T0 + 5.0)
    assert act(call, Deed.END, "sara", now=T0 + 17.9).told.duration_seconds == 12.0
    assert at(UTDCallStatus.MISSED).told.duration_seconds == 0.0


@given(st.floats(0.0, 1e9))
@example(1626.440153)
def test_a_call_that_lasts_as_long_as_it_may_lasts_no_second_less(answered_at: float) -> None:
    call = act(a_call(), Deed.ACCEPT, "mona", now=answered_at)
    call = calls.happen(call, Deed.MAX_DURATION, answered_at + LONGEST)
    assert call.told.duration_seconds == LONGEST


def came(call: Call, who: str, sid: str, serial: int = 7) -> Call:
    after = calls.joined(call, who, sid, serial)
    assert after is not None
    return after


def test_a_caller_who_never_comes_is_lost_unless_the_ringing_ends_first() -> None:
    assert calls.due(a_call()) == (T0 + 30.0, Deed.RING_TIMEOUT)
    long = evolve(a_call(), rings_until=T0 + 120.0)
    assert calls.due(long) == (T0 + AWAY_SECONDS, Deed.PEER_LOST)
    there = came(long, "sara", "PA_1")
    assert calls.due(there) == (T0 + 120.0, Deed.RING_TIMEOUT)
    gone = calls.left(there, "sara", "PA_1", T0 + 50.0)
    assert calls.due(gone) == (T0 + 50.0 + AWAY_SECONDS, Deed.PEER_LOST)
    assert calls.due(came(gone, "sara", "PA_2")) == (T0 + 120.0, Deed.RING_TIMEOUT)


def test_after_the_answer_both_have_their_time_to_come() -> None:
    call = act(evolve(a_call(), rings_until=T0 + 120.0), Deed.ACCEPT, "mona", now=T0 + 29.0)
    call = calls.admit(call, "mona", "m1", 8)
    assert calls.due(call) == (T0 + 29.0 + AWAY_SECONDS, Deed.PEER_LOST)
    call = came(came(call, "sara", "PA_1"), "mona", "PA_2", 8)
    assert calls.due(call) == (T0 + 29.0 + LONGEST, Deed.MAX_DURATION)


def test_a_report_of_a_connection_that_ended_brings_nobody_back() -> None:
    call = calls.left(came(a_call(), "sara", "PA_1"), "sara", "PA_1", T0)
    assert came(call, "sara", "PA_1").caller.sid is None
    late = calls.left(a_call(), "sara", "PA_1", T0)
    assert came(late, "sara", "PA_1").caller.sid is None, "its end was told first"
    newer = came(came(a_call(), "sara", "PA_1"), "sara", "PA_2")
    assert calls.left(newer, "sara", "PA_1", T0).caller.sid == "PA_2"


@pytest.mark.parametrize(
    ("who", "serial"), [("eve", 7), ("eve", None), ("sara", None), ("sara", 6), ("mona", 8)]
)
def test_who_must_not_be_in_the_room(who: str, serial: int | None) -> None:
    assert calls.joined(a_call(), who, "PA_1", serial) is None


def test_every_token_of_the_device_is_good_whichever_was_used_before() -> None:
    call = calls.admit(a_call(), "sara", "s1", 9)
    call = came(came(call, "sara", "PA_1", 9), "sara", "PA_2", 7)
    assert call.caller.sid == "PA_2"
