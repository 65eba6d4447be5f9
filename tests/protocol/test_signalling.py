"""The signal socket's rules: the table as a whole, what is tried again and when, what rings."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException, conflict
from utd_rx.models.call import UTDCallStatus
from utd_rx.protocol import signalling as rules
from utd_rx.protocol.facts import Effect, Fact
from utd_rx.protocol.facts.calls import CallNotTold, CallTold, FetchCall, SignalChanged
from utd_rx.protocol.facts.connection import DeadlinePassed
from utd_rx.protocol.facts.signalling import (
    CloseSocket,
    FrameHeard,
    FrameRefused,
    OpenSocket,
    SignalUnwanted,
    SignalWanted,
    SocketClosed,
    SocketOpened,
    TellSessions,
)
from utd_rx.protocol.signalling import Phase, SignalState, incoming_calls, next_deadline
from utd_rx.testing.contracts.signal import a_call

ME = "mona"
S = UTDCallStatus
OVER = (S.ACTIVE, S.ENDED, S.REJECTED, S.BUSY, S.MISSED)
NETWORK = UTDStreamException("gone", code=UTDErrorCode.NETWORK)
REFUSED = UTDStreamException("bad bearer", code=UTDErrorCode.UNAUTHORIZED)
ENDS = {
    "broken": (None, NETWORK),
    "shut down": (1001, NETWORK),
    "bad bearer": (4001, REFUSED),
    "banned": (4003, UTDStreamException("banned", code=UTDErrorCode.BANNED)),
    "replaced": (4008, conflict(ConflictReason.REPLACED, "replaced")),
    "no mint": (None, REFUSED),
    "no url": (None, UTDStreamException("ws", code=UTDErrorCode.VALIDATION)),
}


class Signalling:
    """The rules, and what they asked for since it was last looked at."""

    def __init__(self) -> None:
        self.state = SignalState()
        self.now = 0.0
        self.asked: list[Effect] = []

    def hear(self, *told: Fact) -> list[Effect]:
        """Hear facts; return what that calls for."""
        effects: list[Effect] = []
        for fact in told:
            self.state, more = rules.step(self.state, fact, self.now)
            effects += more
        return effects

    def end(self, how: str, jitter: float = 0.5) -> list[Effect]:
        code, error = ENDS[how]
        return self.hear(SocketClosed(self.state.attempt, code, error, jitter))

    def frame(self, kind: str, number: int = 1, status: UTDCallStatus = S.INITIATING) -> None:
        self.hear(FrameHeard(self.state.attempt, kind, a_call(number, status)))

    def come_up(self) -> None:
        self.hear(SocketOpened(self.state.attempt))

    def pass_time(self, seconds: float) -> list[Effect]:
        """Let time pass, with every deadline at its time."""
        until, effects = self.now + seconds, list[Effect]()
        while (at := next_deadline(self.state)) is not None and at <= until:
            self.now = max(self.now, at)
            effects += self.hear(DeadlinePassed())
        self.now = until
        return effects

    @property
    def ringing(self) -> list[str]:
        return [call.call_id for call in incoming_calls(self.state)]


def in_phase(phase: Phase) -> Signalling:
    signalling = Signalling()
    if phase is not Phase.OFF:
        signalling.hear(SignalWanted(ME, True))
    if phase is Phase.UP:
        signalling.come_up()
    elif phase is Phase.WAITING:
        signalling.end("broken")
    elif phase is Phase.STOPPED:
        signalling.end("replaced")
    assert signalling.state.phase is phase
    return signalling


OFF, OP, UP, WA, ST = Phase

COLUMNS = (
    "signed in", "no socket", "closed", "opened", "broken", "shut down", "bad bearer", "banned",
    "replaced", "no mint", "no url", "time", "frame", "noise",
)  # fmt: skip
TABLE = {
    OFF: (OP, OFF, OFF, OFF, OFF, OFF, OFF, OFF, OFF, OFF, OFF, OFF, OFF, OFF),
    OP: (OP, OFF, OFF, UP, WA, WA, OP, ST, ST, ST, ST, OP, OP, OP),
    UP: (OP, OFF, OFF, UP, WA, WA, OP, ST, ST, ST, ST, UP, UP, UP),
    WA: (OP, OFF, OFF, WA, WA, WA, WA, WA, WA, WA, WA, OP, WA, WA),
    ST: (OP, OFF, OFF, ST, ST, ST, ST, ST, ST, ST, ST, ST, ST, ST),
}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize(("column", "what"), [*enumerate(COLUMNS)])
def test_the_whole_table(phase: Phase, column: int, what: str) -> None:
    signalling = in_phase(phase)
    before = signalling.state
    effects: list[Effect] = []
    match what:
        case "signed in":
            effects = signalling.hear(SignalWanted(ME, True))
        case "no socket":
            effects = signalling.hear(SignalWanted(ME, False))
        case "closed":
            effects = signalling.hear(SignalUnwanted())
        case "opened":
            effects = signalling.hear(SocketOpened(before.attempt))
        case "time":
            effects = signalling.pass_time(40.0)
        case "frame":
            signalling.frame("incoming")
        case "noise":
            signalling.hear(FrameRefused(before.attempt))
        case how:
            effects = signalling.end(how)
    after, wanted = signalling.state, TABLE[phase][column]
    assert after.phase is wanted
    # Whatever leads to an attempt asks for exactly one, and gives it a number of its own.
    opened = [effect for effect in effects if isinstance(effect, OpenSocket)]
    is_new = after.attempt != before.attempt
    assert opened == [OpenSocket(after.attempt)] * is_new
    assert after.attempt - before.attempt == is_new
    is_anew = what in ("signed in", "bad bearer") or phase is not OP
    assert is_new is (wanted is OP and is_anew)
    # What is told of the socket is what has become of it; what it leaves is closed.
    told = [effect for effect in effects if isinstance(effect, TellSessions)]
    changes = [effect.fact for effect in told if not effect.is_last]
    assert changes == [SignalChanged(after.is_up)] * (after.is_up is not before.is_up)
    assert (CloseSocket() in effects) is (wanted is OFF and phase is not OFF)
    # The times and the failure belong to their phases.
    assert (after.retry_at is not None) is (wanted is WA)
    assert (after.up_at is not None) is (wanted is UP)
    assert (after.failure is not None) is (wanted is ST or (phase is ST and what == "closed"))


@pytest.mark.parametrize("phase", Phase)
def test_what_an_older_socket_says_changes_nothing_and_is_counted(phase: Phase) -> None:
    signalling = in_phase(phase)
    before = signalling.state
    old = before.attempt - 1
    facts = [
        SocketOpened(old),
        SocketClosed(old, 4003, NETWORK, 0.5),
        FrameHeard(old, "incoming", a_call()),
        FrameRefused(old),
    ]
    for fact in facts:
        assert signalling.hear(fact) == []
    assert signalling.state == evolve(before, late=before.late + len(facts))


# --- trying again -------------------------------------------------------------------------------


def test_waits_are_a_share_of_1_2_4_to_30_seconds() -> None:
    signalling, waits = in_phase(Phase.OPENING), list[float]()
    for _ in range(8):
        signalling.end("broken", jitter=0.5)
        retry_at = signalling.state.retry_at
        assert retry_at is not None
        waits.append(retry_at - signalling.now)
        signalling.pass_time(waits[-1])
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]


@given(st.integers(1, 10_000), st.floats(0.0, 1.0))
def test_no_wait_is_longer_than_30_seconds(failures: int, jitter: float) -> None:
    assert 0.0 <= rules.backoff(failures, jitter) <= 30.0


def test_a_socket_that_stood_makes_the_next_wait_short_again() -> None:
    signalling = in_phase(Phase.OPENING)
    for _ in range(6):
        signalling.end("broken")
        signalling.pass_time(30.0)
    signalling.come_up()
    signalling.pass_time(29.0)
    signalling.end("broken", jitter=1.0)
    assert signalling.state.retry_at == signalling.now + 30.0
    signalling.pass_time(30.0)
    signalling.come_up()
    signalling.pass_time(30.0)
    signalling.end("broken", jitter=1.0)
    assert signalling.state.retry_at == signalling.now + 1.0


@pytest.mark.parametrize(("asked", "waits"), [(20.0, 20.5), (1e9, 300.5)])
def test_the_engine_may_put_the_next_attempt_off_but_not_for_ever(
    asked: float, waits: float
) -> None:
    signalling = in_phase(Phase.OPENING)
    error = UTDStreamException("slow", code=UTDErrorCode.RATE_LIMITED, retry_after=asked)
    signalling.hear(SocketClosed(signalling.state.attempt, None, error, 0.5))
    assert signalling.state.retry_at == waits


def test_what_would_do_harm_is_not_tried_again() -> None:
    signalling = in_phase(Phase.OPENING)
    signalling.hear(SocketClosed(1, None, NETWORK, 0.5, is_final=True))
    assert (signalling.state.phase, signalling.state.failure) == (Phase.STOPPED, NETWORK)


def test_a_refused_bearer_is_renewed_once_and_a_second_refusal_is_final() -> None:
    signalling = in_phase(Phase.UP)
    assert OpenSocket(2) in signalling.end("bad bearer")
    signalling.end("broken")  # a mint that fails is tried again
    signalling.pass_time(30.0)
    assert signalling.state.phase is Phase.OPENING
    signalling.end("bad bearer")
    assert (signalling.state.phase, signalling.state.failure) == (Phase.STOPPED, REFUSED)


def test_a_bearer_that_was_good_for_a_while_may_be_renewed_again() -> None:
    signalling = in_phase(Phase.UP)
    for _ in range(3):
        signalling.end("bad bearer")
        signalling.come_up()
        signalling.pass_time(30.0)
    assert signalling.state.is_up
    signalling.end("bad bearer")
    signalling.come_up()
    signalling.end("bad bearer")  # an engine that takes it and drops it at once
    assert signalling.state.phase is Phase.STOPPED


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
    assert (signalling.ringing, signalling.state.refused) == ([], 1)


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
    assert signalling.state.late == 2


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
    assert (len(signalling.ringing), signalling.state.refused) == (100, 1)
    for number in range(1_200):
        signalling.frame("ended", number, S.ENDED)
    assert (signalling.ringing, len(signalling.state.quiet)) == ([], 1_000)
    signalling.frame("incoming", 1_199)
    assert signalling.ringing == []
    signalling.hear(FrameHeard(1, "incoming", evolve(a_call(), call_id="x" * 129)))
    assert (signalling.ringing, signalling.state.refused) == ([], 2)


def test_every_frame_about_a_call_is_told_to_the_sessions() -> None:
    signalling = in_phase(Phase.UP)
    mine = evolve(a_call(7, S.ACTIVE), caller_identity=ME, callee_identity="sara")
    [effect] = signalling.hear(FrameHeard(1, "accepted", mine))
    assert effect == TellSessions(CallTold(mine))
    assert signalling.state.quiet == ()


def test_a_frame_before_the_bearer_was_taken_is_refused() -> None:
    signalling = in_phase(Phase.OPENING)
    assert signalling.hear(FrameHeard(1, "incoming", a_call())) == []
    assert (signalling.ringing, signalling.state.refused) == ([], 1)


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


class Unknown(Fact):
    """A fact of another noun."""


def test_a_fact_of_another_noun_is_nothing() -> None:
    state = in_phase(Phase.UP).state
    assert rules.step(state, Unknown(), 0.0) == (state, ())
