"""The lifecycle table is total, and no outage outlives its deadline."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.errors import ConflictReason, UTDErrorCode, UTDStreamException
from utd_rx.models.connection import DisconnectReason, UTDConnectionState
from utd_rx.models.events import Disconnected, Reconnected, Reconnecting, RoomSnapshot
from utd_rx.models.participant import LocalParticipant
from utd_rx.protocol import connection as rules
from utd_rx.protocol.connection import (
    FORCE_EXIT_AFTER,
    TRANSITIONS,
    Connection,
    Told,
)
from utd_rx.protocol.facts.connection import (
    AskPlace,
    CloseStarted,
    DeadlinePassed,
    JoinFailed,
    JoinStarted,
    JoinSucceeded,
    LeaveStarted,
    PlaceAsked,
    Rejoin,
    RejoinFailed,
)

S = UTDConnectionState
SNAPSHOT = RoomSnapshot("room", LocalParticipant("u1"))
FAILED = UTDStreamException("no", code=UTDErrorCode.NETWORK)

OUTAGES = (Told.LOST, Told.DISPLACED)
IGNORED = frozenset(
    {
        # Late echoes of a connection that is over or not up yet.
        *(
            (state, fact)
            for state in (S.DISCONNECTED, S.CONNECTING, S.FORCE_EXIT)
            for fact in (Reconnecting, Reconnected, Disconnected, *OUTAGES, DeadlinePassed)
        ),
        *(
            (state, fact)
            for state in (S.DISCONNECTED, S.CONNECTING, S.CONNECTED, S.FORCE_EXIT)
            for fact in (RejoinFailed, PlaceAsked, Told.PLACE_LOST)
        ),
        # Results of a join that is over: of an older epoch they are counted as late.
        *((state, JoinSucceeded) for state in (S.DISCONNECTED, S.CONNECTED)),
        *((state, JoinSucceeded) for state in (S.RECONNECTING, S.FORCE_EXIT)),
        *((state, JoinFailed) for state in (S.DISCONNECTED, S.FORCE_EXIT)),
        # Commands are checked before they become facts; a second one changes nothing.
        *((state, JoinStarted) for state in (S.CONNECTING, S.CONNECTED, S.RECONNECTING)),
        *((state, LeaveStarted) for state in (S.DISCONNECTED, S.FORCE_EXIT)),
        *((state, CloseStarted) for state in (S.DISCONNECTED, S.FORCE_EXIT)),
        (S.CONNECTED, DeadlinePassed),
    }
)

FACTS = (
    JoinStarted, JoinSucceeded, JoinFailed, LeaveStarted, CloseStarted, DeadlinePassed,
    Reconnecting, Reconnected, Disconnected, RejoinFailed, PlaceAsked, *Told,
)  # fmt: skip


def run(*facts: object, start: float = 0.0, pace: float = 1.0) -> Connection:
    connection = Connection()
    for i, fact in enumerate(facts):
        connection = rules.step(connection, fact, start + i * pace)
    return connection


def joined(epoch: int = 1) -> JoinSucceeded:
    return JoinSucceeded(epoch, SNAPSHOT)


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("fact", FACTS)
def test_every_state_and_fact_stands_in_exactly_one_table(state: S, fact: type | Told) -> None:
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
        (DisconnectReason.PARTICIPANT_REMOVED, UTDErrorCode.FORBIDDEN),
        (DisconnectReason.ROOM_DELETED, UTDErrorCode.NOT_FOUND),
        (DisconnectReason.SERVER_SHUTDOWN, UTDErrorCode.SERVER),
        (DisconnectReason.USER_REJECTED, UTDErrorCode.NETWORK),
    ],
)
def test_an_end_by_the_server_is_a_typed_failure(
    reason: DisconnectReason, code: UTDErrorCode
) -> None:
    over = run(JoinStarted(), joined(), Disconnected(reason))
    assert over.state is S.DISCONNECTED
    assert over.failure is not None
    assert over.failure.code is code


DISPLACED = Disconnected(DisconnectReason.DUPLICATE_IDENTITY)


def test_who_is_displaced_asks_once_whose_place_it_is() -> None:
    displaced = run(JoinStarted(), joined(), DISPLACED)
    assert (displaced.state, displaced.is_lost, displaced.retry_at) == (S.RECONNECTING, True, None)
    asking, effects = rules.follow_up(displaced, 3.0)
    assert effects == (AskPlace(1),)
    assert rules.follow_up(asking, 4.0) == (asking, ())


def test_the_later_join_takes_its_place_again() -> None:
    asking, _ = rules.follow_up(run(JoinStarted(), joined(), DISPLACED), 3.0)
    back, effects = rules.follow_up(rules.step(asking, PlaceAsked(1, True), 4.0), 4.0)
    assert effects == (Rejoin(1),)
    assert (back.state, back.place) == (S.RECONNECTING, None)


def test_the_earlier_join_ends_and_says_that_it_was_replaced() -> None:
    asking, _ = rules.follow_up(run(JoinStarted(), joined(), DISPLACED), 3.0)
    over = rules.step(asking, PlaceAsked(1, False), 4.0)
    assert (over.state, over.is_lost, over.place) == (S.DISCONNECTED, False, None)
    assert over.failure is not None
    assert (over.failure.code, over.failure.reason) == (
        UTDErrorCode.CONFLICT,
        ConflictReason.REPLACED,
    )


def test_an_answer_about_the_place_that_nobody_waits_for_changes_nothing() -> None:
    there = run(JoinStarted(), joined(), Reconnecting())
    assert rules.step(there, PlaceAsked(1, True), 4.0) == there
    assert rules.step(there, PlaceAsked(1, False), 4.0) == there


@pytest.mark.parametrize(
    ("own", "theirs", "is_own"),
    [
        ('{"_mint": 9}', '{"_mint": 7}', True),
        ('{"_mint": 7}', '{"_mint": 9}', False),
        ('{"_mint": 7}', '{"_mint": 7}', False),
        ('{"_mint": 9}', None, False),
        ('{"_mint": 9}', "", False),
        ("", '{"_mint": 1}', False),
        ('{"_mint": "9"}', '{"_mint": 7}', True),
    ],
)
def test_the_later_join_is_the_one_with_the_later_mint(
    own: str, theirs: str | None, is_own: bool
) -> None:
    assert rules.is_own_place(own, theirs) is is_own


LOST = Disconnected(DisconnectReason.UNKNOWN)


def test_a_connection_that_livekit_gave_up_is_made_anew_until_the_sixty_seconds_are_over() -> None:
    down = run(JoinStarted(), joined(), Reconnecting(), pace=0.0)
    lost = rules.step(down, LOST, 26.0)
    assert (lost.state, lost.is_lost, lost.force_exit_at) == (S.RECONNECTING, True, 60.0)
    lost, effects = rules.follow_up(lost, 26.0)
    assert effects == (Rejoin(1),)
    assert rules.follow_up(lost, 27.0) == (lost, ())
    waiting = rules.step(lost, RejoinFailed(1, FAILED, 0.0), 30.0)
    assert waiting.retry_at == 30.5
    assert rules.follow_up(waiting, 30.4)[1] == ()
    trying, effects = rules.follow_up(waiting, 30.5)
    assert effects == (Rejoin(1),)
    back = rules.step(trying, Reconnected(SNAPSHOT), 40.0)
    assert (back.state, back.last_sync, back.is_lost) == (S.CONNECTED, rules.Sync.FULL, False)
    out = rules.step(waiting, DeadlinePassed(), 60.0)
    assert (out.state, out.retry_at) == (S.FORCE_EXIT, None)


def test_whose_token_livekit_found_refused_is_joined_again_which_mints_another() -> None:
    refused = run(JoinStarted(), joined(), Disconnected(DisconnectReason.JOIN_FAILURE), pace=0.0)
    assert (refused.state, refused.failure) == (S.RECONNECTING, None)
    trying, effects = rules.follow_up(refused, 0.0)
    assert effects == (Rejoin(1, mints=False),)
    worn = UTDStreamException("expired", code=UTDErrorCode.UNAUTHORIZED)
    again = rules.step(trying, RejoinFailed(1, worn, 0.5), 1.0)
    assert rules.follow_up(again, 1.0)[1] == (Rejoin(1, mints=True),)


def test_a_loss_without_a_warning_begins_the_outage() -> None:
    lost = run(JoinStarted(), joined(), LOST, pace=0.0, start=100.0)
    assert (lost.state, lost.force_exit_at) == (S.RECONNECTING, 160.0)


@pytest.mark.parametrize("jitter", [-1.0, 0.0, 0.3, 1.0, 7.0, float("inf")])
def test_pauses_grow_to_their_limit_and_are_spread(jitter: float) -> None:
    pauses: list[float] = []
    lost = run(JoinStarted(), joined(), LOST, pace=0.0)
    for _ in range(8):
        lost, _ = rules.follow_up(lost, lost.retry_at or 0.0)
        lost = rules.step(lost, RejoinFailed(1, FAILED, jitter), 0.0)
        pauses.append(lost.retry_at or 0.0)
    assert pauses == sorted(pauses)
    longest = rules.RETRY_DELAYS[-1]
    assert longest / 2 <= pauses[-1] <= longest


@pytest.mark.parametrize("code", [code for code in UTDErrorCode if code in rules.REFUSALS])
def test_a_refusal_ends_the_attempts(code: UTDErrorCode) -> None:
    refused = UTDStreamException("no", code=code)
    lost = evolve(run(JoinStarted(), joined(), LOST, pace=0.0), mints=True)
    over = rules.step(lost, RejoinFailed(1, refused, 0.5), 1.0)
    assert (over.state, over.failure, over.is_lost) == (S.DISCONNECTED, refused, False)


def test_a_token_that_is_refused_is_minted_anew_at_once_and_once() -> None:
    worn = UTDStreamException("expired", code=UTDErrorCode.UNAUTHORIZED)
    lost, _ = rules.follow_up(run(JoinStarted(), joined(), LOST, pace=0.0), 0.0)
    trying, effects = rules.follow_up(rules.step(lost, RejoinFailed(1, worn, 0.5), 1.0), 1.0)
    assert effects == (Rejoin(1, mints=True),)
    down = rules.step(trying, RejoinFailed(1, FAILED, 0.5), 2.0)
    assert down.state is S.RECONNECTING
    assert rules.follow_up(down, 100.0)[1] == (Rejoin(1, mints=True),)
    assert rules.step(down, RejoinFailed(1, worn, 0.5), 3.0).state is S.DISCONNECTED


def test_leaving_ends_the_attempts_and_their_results_are_late() -> None:
    left = run(JoinStarted(), joined(), LOST, LeaveStarted(), pace=0.0)
    assert (left.state, left.retry_at, left.is_lost) == (S.DISCONNECTED, None, False)
    assert rules.step(left, RejoinFailed(1, FAILED, 0.0), 1.0) == left
    again = rules.step(left, JoinStarted(), 2.0)
    assert rules.step(again, RejoinFailed(1, FAILED, 0.0), 3.0) == evolve(again, late=1)


@pytest.mark.parametrize("fact", [LOST, RejoinFailed(1, FAILED, 0.5)])
def test_while_it_is_asked_whose_the_place_is_nobody_takes_it(fact: object) -> None:
    in_doubt = run(JoinStarted(), joined(), DISPLACED, pace=0.0)
    for connection in (in_doubt, rules.follow_up(in_doubt, 0.0)[0]):
        lost = rules.step(connection, fact, 1.0)
        assert (lost.place, lost.retry_at) == (connection.place, None)


FACT = st.sampled_from(
    [
        JoinStarted(),
        *(JoinSucceeded(epoch, SNAPSHOT) for epoch in range(4)),
        *(JoinFailed(epoch, FAILED) for epoch in range(4)),
        *(RejoinFailed(epoch, FAILED, 0.5) for epoch in range(4)),
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
        tried, _ = rules.follow_up(connection, now)
        assert (tried.retry_at is None) or tried.retry_at > now
        assert not tried.is_lost or tried.state is S.RECONNECTING
        assert (connection.force_exit_at is not None) == (connection.state is S.RECONNECTING)
        assert connection.epoch >= before.epoch
        if (before.state, type(fact)) in IGNORED:
            assert evolve(connection, late=before.late) == before
