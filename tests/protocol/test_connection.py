"""The lifecycle table is total, and no outage outlives its deadline."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.events import Disconnected, Reconnected, Reconnecting, RoomSnapshot
from utd_rx.models.participant import LocalParticipant
from utd_rx.protocol import connection as rules
from utd_rx.protocol.connection import FACTS, FORCE_EXIT_AFTER, IGNORED, TRANSITIONS, Connection
from utd_rx.protocol.facts import (
    DeadlinePassed,
    JoinFailed,
    JoinStarted,
    JoinSucceeded,
    LeaveStarted,
)

S = UTDConnectionState
SNAPSHOT = RoomSnapshot("room", LocalParticipant("u1"))
FAILED = UTDStreamException("no", code=UTDErrorCode.NETWORK)


def run(*facts: object, start: float = 0.0, pace: float = 1.0) -> Connection:
    connection = Connection()
    for i, fact in enumerate(facts):
        connection = rules.step(connection, fact, start + i * pace)
    return connection


def joined(epoch: int = 1) -> JoinSucceeded:
    return JoinSucceeded(epoch, SNAPSHOT)


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("fact", FACTS)
def test_every_state_and_fact_stands_in_exactly_one_table(state: S, fact: type) -> None:
    assert ((state, fact) in TRANSITIONS) != ((state, fact) in IGNORED)


def test_the_tables_hold_nothing_else() -> None:
    assert len(TRANSITIONS) + len(IGNORED) == len(S) * len(FACTS)


def test_a_join_passes_connecting_and_a_leave_ends_it() -> None:
    assert run(JoinStarted()).state is S.CONNECTING
    assert run(JoinStarted(), joined()).state is S.CONNECTED
    assert run(JoinStarted(), joined(), LeaveStarted()).state is S.DISCONNECTED
    assert run(JoinStarted(), joined(), LeaveStarted()).failure is None


def test_a_failed_join_says_why_until_the_next_one() -> None:
    failed = run(JoinStarted(), JoinFailed(1, FAILED))
    assert (failed.state, failed.failure) == (S.DISCONNECTED, FAILED)
    assert rules.step(failed, JoinStarted(), 2.0).failure is None


def test_a_result_of_an_older_join_changes_nothing_and_is_counted() -> None:
    second = run(JoinStarted(), LeaveStarted(), JoinStarted())
    late = rules.step(second, joined(epoch=1), 9.0)
    assert late == evolve(second, late=1)
    assert rules.step(late, joined(epoch=2), 9.0).state is S.CONNECTED


@pytest.mark.parametrize(
    ("outage", "sync"),
    [
        (0.1, rules.Sync.LIGHT),
        (14.9, rules.Sync.LIGHT),
        (15.0, rules.Sync.FULL),
        (59.0, rules.Sync.FULL),
    ],
)
def test_the_length_of_the_outage_decides_what_is_read_again(
    outage: float, sync: rules.Sync
) -> None:
    back = run(JoinStarted(), joined(), Reconnecting(), start=100.0, pace=0.0)
    back = rules.step(back, Reconnected(SNAPSHOT), 100.0 + outage)
    assert (back.state, back.last_sync, back.force_exit_at) == (S.CONNECTED, sync, None)


def test_sixty_seconds_without_a_reconnect_force_the_exit_by_deadline() -> None:
    down = run(JoinStarted(), joined(), Reconnecting(), pace=0.0)
    assert rules.step(down, DeadlinePassed(), FORCE_EXIT_AFTER - 0.1) == down
    out = rules.step(down, DeadlinePassed(), FORCE_EXIT_AFTER)
    assert out.state is S.FORCE_EXIT
    assert out.failure is not None
    assert out.failure.code is UTDErrorCode.TIMEOUT
    assert rules.step(out, Reconnected(SNAPSHOT), 61.0) == out
    assert rules.step(out, JoinStarted(), 62.0).state is S.CONNECTING


def test_a_second_drop_starts_the_outage_anew() -> None:
    down = run(JoinStarted(), joined(), Reconnecting(), pace=0.0)
    again = rules.step(down, Reconnecting(), 30.0)
    assert again.force_exit_at == 30.0 + FORCE_EXIT_AFTER


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (DisconnectReason.DUPLICATE_IDENTITY, UTDErrorCode.CONFLICT),
        (DisconnectReason.PARTICIPANT_REMOVED, UTDErrorCode.FORBIDDEN),
        (DisconnectReason.ROOM_DELETED, UTDErrorCode.NOT_FOUND),
        (DisconnectReason.SERVER_SHUTDOWN, UTDErrorCode.SERVER),
        (DisconnectReason.UNKNOWN, UTDErrorCode.NETWORK),
    ],
)
def test_an_end_by_the_server_is_a_typed_failure(
    reason: DisconnectReason, code: UTDErrorCode
) -> None:
    over = run(JoinStarted(), joined(), Disconnected(reason))
    assert over.state is S.DISCONNECTED
    assert over.failure is not None
    assert over.failure.code is code


FACT = st.sampled_from(
    [
        JoinStarted(),
        *(JoinSucceeded(epoch, SNAPSHOT) for epoch in range(4)),
        *(JoinFailed(epoch, FAILED) for epoch in range(4)),
        LeaveStarted(),
        Reconnecting(),
        Reconnected(SNAPSHOT),
        DeadlinePassed(),
        *(Disconnected(reason) for reason in DisconnectReason),
        object(),
    ]
)


@given(st.lists(st.tuples(FACT, st.floats(0, 30))))
def test_no_sequence_of_facts_raises_or_leaves_a_deadline_behind(
    facts: list[tuple[object, float]],
) -> None:
    connection, now = Connection(), 0.0
    for fact, pause in facts:
        now += pause
        before = connection
        connection = rules.step(connection, fact, now)
        assert (connection.force_exit_at is not None) == (connection.state is S.RECONNECTING)
        assert connection.epoch >= before.epoch
        if (before.state, type(fact)) in IGNORED:
            assert evolve(connection, late=before.late) == before
