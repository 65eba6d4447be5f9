"""What is told of a call counts when it is further on, and what is over stays over."""

from __future__ import annotations

import itertools

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.call import UTDCall, UTDCallEndReason, UTDCallStatus
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol import call_lifecycle as rules
from utd_rx.protocol.call_lifecycle import FORWARD, LOST_SECONDS, CallOnHand
from utd_rx.protocol.facts.calls import FetchCall

S, R = UTDCallStatus, UTDCallEndReason
LATER = {S.INITIATING: 0, S.RINGING: 1, S.ACTIVE: 2, S.ENDED: 3, S.REJECTED: 3, S.BUSY: 3}
LATER[S.MISSED] = 3
UNANSWERED = (S.REJECTED, S.BUSY, S.MISSED)
AWAY = UTDStreamException("unreachable", code=UTDErrorCode.NETWORK)
UNKNOWN = UTDStreamException("no such call", code=UTDErrorCode.NOT_FOUND)


def call(status: UTDCallStatus, **more: object) -> UTDCall:
    reason = R.PEER_LOST if status.is_terminal else None
    given = {"caller_identity": "ana", "callee_identity": "ben", "end_reason": reason, **more}
    return UTDCall("call_1", status, UTDStreamType.AUDIO_CALL, **given)  # type: ignore[arg-type]


def on_hand(status: UTDCallStatus, *, is_joined: bool = False) -> CallOnHand:
    answered_at, duration = (10.0, 0.0) if status is S.ACTIVE else (None, None)
    return CallOnHand(call(status), is_joined=is_joined, answered_at=answered_at, duration=duration)


def test_the_table_is_total_and_goes_forward_only() -> None:
    assert set(FORWARD) == set(S) == set(LATER)
    for status, told in itertools.product(S, S):
        is_odd = status is S.ACTIVE and told in UNANSWERED
        assert (told in FORWARD[status]) is (LATER[told] > LATER[status] and not is_odd)


@pytest.mark.parametrize("is_answering", [False, True])
@pytest.mark.parametrize("is_joined", [False, True])
@pytest.mark.parametrize("identity", ["ana", "ben"])
@pytest.mark.parametrize("status", list(S))
@pytest.mark.parametrize("said", list(S))
def test_every_word_on_every_status(
    status: UTDCallStatus, said: UTDCallStatus, identity: str, is_joined: bool, is_answering: bool
) -> None:
    before = on_hand(status, is_joined=is_joined)
    after = rules.told(
        before, call(said, duration_seconds=4.0), 50.0, identity=identity, is_answering=is_answering
    )
    is_here = identity == "ana" or is_joined or is_answering
    if said is S.ACTIVE and LATER[said] >= LATER[status] and not is_here:
        assert (after.call.status, after.call.end_reason) == (S.ENDED, R.ANSWERED_ELSEWHERE)
        assert after.duration is None
    elif LATER[said] <= LATER[status]:
        assert after == before
    elif status is S.ACTIVE and said in UNANSWERED:
        assert (after.call.status, after.call.end_reason) == (S.ENDED, R.UNKNOWN)
        assert (after.duration, after.odd) == (4.0, 1)
    else:
        assert after.odd == 0
        assert after.call.status is said
        assert after.call.end_reason is (R.PEER_LOST if said.is_terminal else None)
        seconds = {S.RINGING: None, S.ACTIVE: 0.0}.get(said, 4.0)
        assert after.duration == seconds
    assert after.is_joined is is_joined


def test_what_was_not_known_is_added_and_what_is_known_stays() -> None:
    known = CallOnHand(UTDCall("call_1", S.RINGING, UTDStreamType.VIDEO_CALL, room_name="call_1"))
    more = call(S.INITIATING, caller_name="Ana", metadata=FrozenMap({"why": "lunch"}))
    after = rules.told(known, more, 0.0, identity="ben", is_answering=False).call
    assert (after.status, after.type) == (S.RINGING, UTDStreamType.VIDEO_CALL)
    assert (after.caller_identity, after.caller_name) == ("ana", "Ana")
    other = evolve(more, caller_name="Anna", metadata=FrozenMap({"why": "dinner"}))
    again = rules.told(CallOnHand(after), other, 0.0, identity="ben", is_answering=False)
    assert again.call == after


@pytest.mark.parametrize(
    ("caller", "callee", "identity", "expected"),
    [
        ("ana", "ben", "ana", True),
        ("ana", "ben", "ben", False),
        (None, "ben", "ana", True),
        (None, "ben", "ben", False),
        (None, None, "ana", False),
    ],
)
def test_who_dialled_is_found_out_of_what_the_engine_tells(
    caller: str | None, callee: str | None, identity: str, expected: bool
) -> None:
    made = call(S.RINGING, caller_identity=caller, callee_identity=callee)
    assert rules.is_caller(made, identity) is expected


def test_an_end_without_a_reason_or_a_duration_keeps_what_was_counted() -> None:
    active = evolve(on_hand(S.ACTIVE, is_joined=True), duration=7.0)
    after = rules.told(
        active, call(S.ENDED, end_reason=None), 20.0, identity="ana", is_answering=False
    )
    assert (after.duration, after.call.duration_seconds) == (7.0, 7.0)
    assert after.call.end_reason is R.UNKNOWN


@pytest.mark.parametrize(
    ("status", "identity", "reason"),
    [
        (S.RINGING, "ana", R.CALLER_CANCELLED),
        (S.ACTIVE, "ana", R.CALLER_HANGUP),
        (S.RINGING, "ben", R.CALLEE_HANGUP),
        (S.ACTIVE, "ben", R.CALLEE_HANGUP),
    ],
)
def test_who_hung_up_and_hears_nothing_of_the_engine_is_out_all_the_same(
    status: UTDCallStatus, identity: str, reason: UTDCallEndReason
) -> None:
    out = evolve(on_hand(status, is_joined=True), is_out=True, lost_at=5.0)
    silent = rules.unheard(out, identity=identity)
    late = rules.passed(out, 5.0 + LOST_SECONDS, identity=identity)
    for after in (silent, late):
        assert (after.call.status, after.call.end_reason) == (S.ENDED, reason)


@pytest.mark.parametrize(("said", "expected"), [(6.4, 6.4), (None, 5.0)])
def test_after_hanging_up_nothing_is_counted(said: float | None, expected: float) -> None:
    active = evolve(on_hand(S.ACTIVE, is_joined=True), duration=5.0)
    out = evolve(active, is_out=True, lost_at=15.5)
    assert rules.next_deadline(out) == 15.5 + LOST_SECONDS
    late = rules.passed(out, 40.0, identity="ana")
    assert late.duration == 5.0
    ended = call(S.ENDED, duration_seconds=said)
    assert rules.told(late, ended, 41.0, identity="ana", is_answering=False).duration == expected


def test_of_who_hung_up_only_the_silence_about_that_counts() -> None:
    out = evolve(on_hand(S.RINGING, is_joined=True), is_out=True, lost_at=5.0)
    for error in (AWAY, UNKNOWN):
        assert rules.not_told(out, error, 6.0, is_roomless=True) == out
    going = on_hand(S.RINGING, is_joined=True)
    assert rules.unheard(going, identity="ana") == going


@pytest.mark.parametrize("code", ["NOT_FOUND", "BANNED", "FORBIDDEN", "UNAUTHORIZED"])
def test_a_call_that_the_engine_does_not_know_or_show_is_lost(code: str) -> None:
    error = UTDStreamException("no", code=UTDErrorCode[code])
    after = rules.not_told(on_hand(S.ACTIVE), error, 1.0, is_roomless=False)
    assert (after.call.status, after.call.end_reason) == (S.ENDED, R.LOST)


def test_after_errors_it_is_asked_again_ever_later_and_given_up_after_a_minute() -> None:
    one = on_hand(S.RINGING)
    asked: list[float] = []
    now = 100.0
    one = evolve(one, asks_at=now)
    while not one.is_over:
        one = rules.passed(one, now, identity="ana")
        one, questions = rules.asking(one, now, is_blind=True)
        if questions:
            assert questions == (FetchCall("call_1"),)
            asked.append(now - 100.0)
            one = rules.not_told(one, AWAY, now, is_roomless=True)
        now = rules.next_deadline(one) or now
    assert asked == [0, 1, 3, 7, 15, 23, 31, 39, 47, 55]
    assert now == 100.0 + LOST_SECONDS
    assert one.call.end_reason is R.LOST


def test_a_word_of_the_engine_ends_the_doubt_of_who_is_not_in_the_call() -> None:
    doubted = rules.not_told(on_hand(S.RINGING), AWAY, 1.0, is_roomless=True)
    assert doubted.lost_at == 1.0
    heard = rules.told(doubted, call(S.RINGING), 2.0, identity="ben", is_answering=False)
    assert (heard.lost_at, heard.failures, heard.asks_at) == (None, 0, None)


def test_the_engine_is_not_asked_while_it_is_being_asked_nor_by_who_is_out() -> None:
    one, questions = rules.asking(on_hand(S.RINGING), 1.0, is_blind=True)
    assert (questions, one.asks_at) == ((), 4.0)
    one, questions = rules.asking(one, 4.0, is_blind=True)
    assert questions == (FetchCall("call_1"),)
    assert rules.asking(one, 9.0, is_blind=True) == (one, ())
    out = evolve(one, is_out=True, asks_at=9.0)
    assert rules.asking(out, 9.0, is_blind=True) == (out, ())
    assert rules.asking(on_hand(S.RINGING), 1.0, is_blind=False)[0].asks_at is None


@given(
    st.floats(-1e9, 1e9),
    st.lists(st.floats(0.0, 5.0, allow_subnormal=False), max_size=20),
)
def test_the_duration_is_the_whole_seconds_and_its_deadline_moves_on(
    answered_at: float, pauses: list[float]
) -> None:
    one = evolve(on_hand(S.ACTIVE), answered_at=answered_at)
    now = answered_at
    for pause in pauses:
        now += pause
        for _ in range(2):  # by the second time at the latest its deadline is ahead
            one = rules.passed(one, now, identity="ana")
        at = rules.next_deadline(one)
        assert at is not None
        assert at > now
        assert one.duration is not None
        assert one.duration == int(one.duration)
        assert abs(one.duration - (now - answered_at)) < 1.001


def test_what_is_over_has_no_deadline_and_no_question() -> None:
    lost = rules.over(evolve(on_hand(S.ACTIVE), asks_at=3.0, lost_at=1.0), R.LOST)
    assert rules.next_deadline(lost) is None
    assert rules.asking(lost, 1e6, is_blind=True) == (lost, ())
    assert rules.passed(lost, 1e6, identity="ana") == lost
    assert rules.not_told(lost, UNKNOWN, 1.0, is_roomless=True) == lost


def test_no_token_gets_into_it() -> None:
    secret = call(S.RINGING, token="t0ken", url="ws://x")
    assert (CallOnHand(secret).call.token, CallOnHand(secret).call.url) == (None, None)
