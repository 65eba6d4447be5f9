"""What rings, what never rings again, and when the engine is asked about it."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.protocol.signal_story import ME, NETWORK, OVER, S, Signalling, in_phase
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.call import UTDCallStatus
from utd_rx.protocol.facts.calls import CallNotTold, CallTold, FetchCall, SignalChanged
from utd_rx.protocol.facts.signalling import (
    FrameHeard,
    OpenSocket,
    SignalWanted,
    TellSessions,
)
from utd_rx.protocol.signalling import Phase
from utd_rx.testing.contracts.signal import a_call

# --- what rings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", UTDCallStatus)
@pytest.mark.parametrize(
    "kind", ["incoming", "ringing", "accepted", "rejected", "busy", "ended", "missed", "other"]
)
def test_only_call_incoming_rings_and_only_before_the_answer(
    kind: str, status: UTDCallStatus
) -> None:
    signalling = in_phase(Phase.UP)
    signalling.frame(kind, status=status)
    rings = kind == "incoming" and status in (S.INITIATING, S.RINGING)
    assert signalling.ringing == [a_call().call_id] * rings


@pytest.mark.parametrize(
    ("caller", "callee"), [(ME, "sara"), (None, ME), ("sara", "omar"), (ME, ME)]
)
def test_a_call_that_is_none_to_this_user_does_not_ring(caller: str | None, callee: str) -> None:
    signalling = in_phase(Phase.UP)
    call = evolve(a_call(), caller_identity=caller, callee_identity=callee)
    signalling.hear(FrameHeard(1, "incoming", call))
    assert (signalling.ringing, signalling.state.calls.refused) == ([], 1)


@pytest.mark.parametrize("status", OVER)
@pytest.mark.parametrize("way", ["frame", "session", "answer"])
def test_what_is_over_stops_ringing_and_never_rings_again(way: str, status: UTDCallStatus) -> None:
    signalling = in_phase(Phase.UP)
    signalling.frame("incoming")
    signalling.frame("incoming", 2)
    if way == "frame":
        signalling.frame("ended", status=status)
    else:
        signalling.hear(CallTold(a_call(1, status)))
    assert signalling.ringing == [a_call(2).call_id]
    signalling.frame("incoming")
    signalling.hear(CallTold(a_call(1, S.RINGING)))
    assert signalling.ringing == [a_call(2).call_id]
    assert signalling.state.calls.late == 2


@pytest.mark.parametrize("status", OVER)
def test_a_call_whose_end_came_first_never_rings(status: UTDCallStatus) -> None:
    signalling = in_phase(Phase.UP)
    signalling.frame("ended", status=status)
    signalling.frame("incoming")
    assert signalling.ringing == []


def test_a_repeated_call_rings_once_and_stays_in_its_place() -> None:
    signalling = in_phase(Phase.UP)
    for number in (1, 2, 1, 1):
        signalling.frame("incoming", number)
    assert signalling.ringing == [a_call(1).call_id, a_call(2).call_id]


def test_ringing_and_memory_are_bounded() -> None:
    signalling = in_phase(Phase.UP)
    for number in range(101):
        signalling.frame("incoming", number)
    assert (len(signalling.ringing), signalling.state.calls.refused) == (100, 1)
    for number in range(1_200):
        signalling.frame("ended", number, S.ENDED)
    assert (signalling.ringing, len(signalling.state.calls.quiet)) == ([], 1_000)
    signalling.frame("incoming", 1_199)
    assert signalling.ringing == []
    signalling.hear(FrameHeard(1, "incoming", evolve(a_call(), call_id="x" * 129)))
    assert (signalling.ringing, signalling.state.calls.refused) == ([], 2)


def test_every_frame_about_a_call_is_told_to_the_sessions() -> None:
    signalling = in_phase(Phase.UP)
    mine = evolve(a_call(7, S.ACTIVE), caller_identity=ME, callee_identity="sara")
    [effect] = signalling.hear(FrameHeard(1, "accepted", mine))
    assert effect == TellSessions(CallTold(mine))
    assert signalling.state.calls.quiet == ()


def test_a_frame_before_the_bearer_was_taken_is_refused() -> None:
    signalling = in_phase(Phase.OPENING)
    assert signalling.hear(FrameHeard(1, "incoming", a_call())) == []
    assert (signalling.ringing, signalling.state.calls.refused) == ([], 1)


def test_as_somebody_else_nothing_rings_and_who_listened_is_let_go() -> None:
    signalling = in_phase(Phase.UP)
    signalling.frame("incoming")
    effects = signalling.hear(SignalWanted("omar", True))
    assert effects[0] == TellSessions(SignalChanged(False), is_last=True)
    assert (signalling.ringing, signalling.state.attempt) == ([], 2)


def test_as_the_same_user_it_goes_on_ringing() -> None:
    signalling = in_phase(Phase.UP)
    signalling.frame("incoming")
    effects = signalling.hear(SignalWanted(ME, True))
    assert effects == [TellSessions(SignalChanged(False)), OpenSocket(2)]
    assert signalling.ringing == [a_call().call_id]


# --- asking -------------------------------------------------------------------------------------

ASK = FetchCall(a_call().call_id)


def rung(phase: Phase = Phase.UP) -> Signalling:
    """One call rings, and then the socket gets into this phase."""
    signalling = in_phase(Phase.UP)
    signalling.frame("incoming")
    if phase is Phase.WAITING:
        signalling.end("broken", jitter=1.0)
    elif phase is Phase.STOPPED:
        signalling.end("replaced")
    return signalling


def test_after_a_reconnect_it_is_asked_for_unless_it_is_repeated() -> None:
    for is_repeated in (False, True):
        signalling = rung(Phase.WAITING)
        signalling.pass_time(1.0)
        signalling.come_up()
        if is_repeated:
            signalling.frame("incoming")
        assert signalling.pass_time(1.0) == [ASK] * (not is_repeated)


@pytest.mark.parametrize(("phase", "first"), [(Phase.UP, 30.0), (Phase.STOPPED, 3.0)])
def test_it_is_asked_for_again_and_again_while_the_engine_says_that_it_rings(
    phase: Phase, first: float
) -> None:
    signalling = rung(phase)
    for _ in range(5):
        assert signalling.pass_time(first - 0.5) == []
        assert signalling.pass_time(0.5) == [ASK]
        assert signalling.pass_time(1_000.0) == []  # one question at a time
        signalling.hear(CallTold(a_call(1, S.RINGING)))
        assert signalling.ringing == [a_call().call_id]


@pytest.mark.parametrize("code", UTDErrorCode)
def test_an_answer_that_there_is_no_such_call_ends_it_and_silence_does_not(
    code: UTDErrorCode,
) -> None:
    signalling = rung(Phase.STOPPED)
    signalling.pass_time(3.0)
    signalling.hear(CallNotTold(a_call().call_id, UTDStreamException("no", code=code)))
    is_gone = code in (
        UTDErrorCode.NOT_FOUND,
        UTDErrorCode.FORBIDDEN,
        UTDErrorCode.BANNED,
        UTDErrorCode.UNAUTHORIZED,
        UTDErrorCode.VALIDATION,
        UTDErrorCode.FEATURE_DISABLED,
    )
    assert signalling.ringing == [a_call().call_id] * (not is_gone)
    assert signalling.pass_time(3.0) == [ASK] * (not is_gone)


def test_an_answer_about_a_call_that_never_rang_is_nothing() -> None:
    signalling = in_phase(Phase.UP)
    before = signalling.state
    signalling.hear(CallNotTold("call_x", NETWORK))
    signalling.hear(CallTold(a_call(1, S.RINGING)))
    assert signalling.state == before
