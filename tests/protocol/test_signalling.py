"""The signal socket's rules: the table as a whole, and what is tried again and when."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.signal_story import ME, NETWORK, REFUSED, in_phase
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.protocol import signalling as rules
from utd_rx.protocol.facts import Effect, Fact
from utd_rx.protocol.facts.calls import SignalChanged
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
from utd_rx.protocol.signalling import Phase
from utd_rx.testing.contracts.signal import a_call

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


class Unknown(Fact):
    """A fact of another noun."""


def test_a_fact_of_another_noun_is_nothing() -> None:
    state = in_phase(Phase.UP).state
    assert rules.step(state, Unknown(), 0.0) == (state, ())
