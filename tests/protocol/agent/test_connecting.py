"""A voice agent's connection: the table as a whole, what is tried again and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.agent.story import CREATED, AgentStory, in_phase, listening
from utd_rx.models import agent_events as e
from utd_rx.models.agent import AgentError, AgentStatus
from utd_rx.protocol.agent import connecting
from utd_rx.protocol.agent.connecting import AgentPhase
from utd_rx.protocol.facts.agent import (
    AgentAttemptEnded,
    AgentAttemptOpened,
    AgentSoundFailed,
    AgentUnwanted,
    AgentWanted,
    BeginAgentSession,
    CloseAgentSocket,
    EndAgentSession,
    OpenAgentSocket,
    ReleaseAgentDevices,
)

ID, OP, LI, WA, PA, OV = AgentPhase

COLUMNS = (
    "wanted", "paused", "stopped", "opened", "created", "lost", "1000", "1006", "4401", "4403",
    "401", "403", "503", "4000", "no device", "time",
)  # fmt: skip
TABLE = {
    ID: (OP, ID, ID, ID, ID, ID, ID, ID, ID, ID, ID, ID, ID, ID, ID, ID),
    OP: (OP, PA, OV, OP, LI, WA, OV, WA, OV, OV, OV, OV, WA, WA, OV, WA),
    LI: (LI, PA, OV, LI, LI, WA, OV, WA, OV, OV, OV, OV, WA, WA, OV, LI),
    WA: (WA, PA, OV, WA, WA, WA, WA, WA, WA, WA, WA, WA, WA, WA, WA, OP),
    PA: (OP, PA, OV, PA, PA, PA, PA, PA, PA, PA, PA, PA, PA, PA, PA, PA),
    OV: (OP, OV, OV, OV, OV, OV, OV, OV, OV, OV, OV, OV, OV, OV, OV, OV),
}


@pytest.mark.parametrize("phase", AgentPhase)
@pytest.mark.parametrize(("column", "what"), [*enumerate(COLUMNS)])
def test_the_whole_table(phase: AgentPhase, column: int, what: str) -> None:
    story = in_phase(phase)
    before = story.state.connection
    match what:
        case "wanted":
            story.hear(AgentWanted())
        case "paused" | "stopped":
            story.hear(AgentUnwanted(is_pause=what == "paused"))
        case "opened":
            story.hear(AgentAttemptOpened(before.attempt))
        case "created":
            story.hear(CREATED)
        case "lost":
            story.end()
        case "no device":
            story.hear(AgentSoundFailed(before.attempt, AgentError("device", "none", True)))
        case "time":
            # One deadline: an attempt's time is up, or the next one is due.
            story.pass_time(0.5 if phase is WA else connecting.SETUP_WITHIN)
        case code:
            story.end(int(code))
    after, wanted = story.state.connection, TABLE[phase][column]
    assert after.phase is wanted
    # Whatever leads to an attempt asks for exactly one, and gives it a number of its own.
    is_new = wanted is OP and phase is not OP
    opened = [effect for effect in story.effects if isinstance(effect, OpenAgentSocket)]
    assert opened == [OpenAgentSocket(after.attempt)] * is_new
    assert after.attempt - before.attempt == is_new
    assert after.epoch - before.epoch == (what == "wanted" and is_new)
    # A session that began ends once, and a socket that is not over by itself is closed.
    assert story.effects.count(EndAgentSession()) == (phase is LI and wanted is not LI)
    begun = [effect for effect in story.effects if isinstance(effect, BeginAgentSession)]
    assert begun == [BeginAgentSession(1, 24_000)] * (wanted is LI and phase is not LI)
    closed = [effect.is_clean for effect in story.effects if isinstance(effect, CloseAgentSocket)]
    is_ours = phase in (OP, LI) and what in ("paused", "stopped", "no device", "time")
    assert closed == [what != "time"] * (is_ours and wanted is not phase)
    assert story.effects.count(ReleaseAgentDevices()) == (phase in (LI, WA) and wanted in (PA, OV))
    # The times belong to their phases, and so does the failure.
    assert (after.retry_at is not None) is (wanted is WA)
    assert (after.ends_at is not None) is (wanted is OP)
    assert (after.listening_at is not None) is (wanted is LI)
    is_normal = what == "stopped" or phase is OV or (phase is LI and what == "1000")
    is_failed = (wanted is OV and not is_normal) or wanted is WA
    assert (after.failure is not None) is (is_failed or (phase is WA and wanted is OP))


STATUSES = {
    ID: AgentStatus.IDLE,
    OP: AgentStatus.CONNECTING,
    LI: AgentStatus.LISTENING,
    WA: AgentStatus.RECONNECTING,
    PA: AgentStatus.PAUSED,
    OV: AgentStatus.CLOSED,
}


@pytest.mark.parametrize("phase", AgentPhase)
def test_what_an_older_socket_says_changes_nothing_and_is_counted(phase: AgentPhase) -> None:
    story = in_phase(phase)
    assert story.state.status is STATUSES[phase]
    before, old = story.state.connection, story.state.connection.attempt - 1
    facts = [
        AgentAttemptOpened(old),
        AgentAttemptEnded(old, AgentError("4401", "why", False), 4401),
        AgentSoundFailed(old, AgentError("device", "why", False)),
    ]
    assert story.hear(*facts) == []
    assert story.state.connection.late == before.late + len(facts)
    assert story.state.connection.phase is phase


def test_a_connection_comes_up_a_second_time_as_another_session() -> None:
    story = listening()
    story.end(1006)
    assert (story.state.status, story.state.session_id) == (AgentStatus.RECONNECTING, "s1")
    story.pass_time(0.5)
    assert story.state.status is AgentStatus.RECONNECTING
    story.hear(e.AgentSessionCreated("s2", "CALL-2", 0))
    assert BeginAgentSession(2, 24_000) in story.effects  # as asked, where the server is silent
    assert (story.state.session_id, story.state.call_id) == ("s2", "CALL-2")
    assert story.state.statistics.reconnects == 1
    assert story.state.connection.failure is None


# --- what is final ------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [OP, LI])
@pytest.mark.parametrize(
    ("errors", "code", "is_final", "why"),
    [
        ((), 4000, False, "4000"),
        (("internal_error",), 4000, False, "internal_error"),
        (("worker_not_ready",), 4000, False, "worker_not_ready"),
        (("503",), 4000, False, "503"),
        (("invalid_event",), 4000, False, "4000"),
        (("tool_timeout",), 1006, False, "1006"),
        (("no_credits",), 4000, True, "no_credits"),
        (("no_credits",), 1006, False, "no_credits"),
        (("internal_error",), 4403, True, "4403"),
        ((), 4400, False, "4400"),
        ((), 404, True, "404"),
        ((), 301, True, "301"),
        ((), 200, True, "200"),
        ((), 429, False, "429"),
        ((), 500, False, "500"),
    ],
)
def test_what_is_final_is_said_by_code_and_error(
    phase: AgentPhase, errors: tuple[str, ...], code: int, is_final: bool, why: str
) -> None:
    story = in_phase(phase)
    for error in errors:
        story.tell_error(error)
    story.end(code)
    assert story.state.connection.phase is (OV if is_final else WA)
    failure = story.state.connection.failure
    assert failure is not None
    assert (failure.code, failure.retryable) == (why, failure.retryable and not is_final)


def test_a_fatal_error_before_the_session_is_final_at_once() -> None:
    story = in_phase(OP)
    assert story.tell_error("404") == [CloseAgentSocket(1)]
    assert story.state.connection.failure == AgentError("404", "why", False)
    assert story.state.status is AgentStatus.CLOSED


@pytest.mark.parametrize(("seconds", "is_final"), [(0.0, True), (9.0, True), (11.0, False)])
def test_an_error_that_a_session_outlived_says_nothing_of_its_end(
    seconds: float, is_final: bool
) -> None:
    story = listening()
    story.tell_error("404")
    story.tell_error("internal_error")  # makes nothing better
    story.pass_time(seconds)
    story.end(1006)
    assert story.state.connection.phase is (OV if is_final else WA)


@pytest.mark.parametrize(("code", "phase"), [(None, OV), (1000, OV), (1012, WA)])
def test_a_session_that_the_server_closed_ends_as_its_socket_says(
    code: int | None, phase: AgentPhase
) -> None:
    story = listening()
    story.hear(e.AgentSessionClosed("ended"))
    story.end(code)
    assert story.state.connection.phase is phase
    assert (story.state.connection.failure is None) is (phase is OV)


@pytest.mark.parametrize(("errors", "phase"), [((), WA), (("no_credits",), OV)])
def test_a_session_that_was_closed_before_it_began_is_tried_again_unless_an_error_says_why(
    errors: tuple[str, ...], phase: AgentPhase
) -> None:
    story = in_phase(OP)
    for error in errors:
        story.tell_error(error)
    story.hear(e.AgentSessionClosed("setup_failed"))
    story.end()
    assert story.state.connection.phase is phase


def test_a_socket_that_outlives_its_session_is_dropped() -> None:
    story = listening()
    story.hear(e.AgentSessionClosed("ended"))
    assert story.pass_time(connecting.CLOSES_WITHIN - 0.1) == []
    assert CloseAgentSocket(1, is_clean=False) in story.pass_time(0.1)
    assert story.state.connection.phase is OV
    assert story.state.connection.failure is None


def test_a_server_that_ends_it_before_it_began_is_a_failure() -> None:
    story = in_phase(OP)
    story.end(1000)
    failure = story.state.connection.failure
    assert failure is not None
    assert (failure.code, failure.retryable) == ("1000", False)


# --- trying again -------------------------------------------------------------------------------


def waits(story: AgentStory, jitter: float, count: int) -> list[float]:
    """How long the next attempts are away, each of which fails at once."""
    found: list[float] = []
    for _ in range(count):
        story.end(jitter=jitter)
        retry_at = story.state.connection.retry_at
        assert retry_at is not None
        found.append(retry_at - story.now)
        story.pass_time(found[-1])
    return found


def test_waits_double_from_half_a_second_to_30() -> None:
    assert waits(in_phase(OP), 0.0, 8) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert waits(in_phase(OP), 1.0, 3) == [0.25, 0.5, 1.0]


@given(st.integers(1, 10_000), st.floats(-1.0, 2.0))
def test_a_wait_is_from_half_of_it_to_all_of_it(failures: int, jitter: float) -> None:
    longest = connecting.backoff(failures, 0.0)
    assert longest / 2 <= connecting.backoff(failures, jitter) <= longest <= 30.0


@pytest.mark.parametrize(("seconds", "wait"), [(29.9, 2.0), (30.0, 0.5)])
def test_only_a_session_that_stood_begins_the_waits_anew(seconds: float, wait: float) -> None:
    story = in_phase(OP)
    waits(story, 0.0, 2)
    story.hear(CREATED)
    story.pass_time(seconds)
    assert waits(story, 0.0, 1) == [pytest.approx(wait)]


@pytest.mark.parametrize(("asked", "wait"), [(7.0, 7.5), (-3.0, 0.5), (1e9, 300.5)])
def test_a_server_can_put_it_off_for_a_while(asked: float, wait: float) -> None:
    story = in_phase(OP)
    story.end(503, retry_after=asked)
    assert story.state.connection.retry_at == story.now + wait


def test_an_attempt_without_a_session_is_given_up() -> None:
    story = in_phase(OP)
    assert story.pass_time(30.0) == [CloseAgentSocket(1, is_clean=False)]
    assert story.state.connection.failure is not None
    assert story.state.connection.failure.code == "timeout"
    assert story.pass_time(0.5) == [OpenAgentSocket(2)]
