"""An audio room publishes iff seated and granted, and believes only the engine about seats."""

from __future__ import annotations

import json

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from utd_rx.models import events as e
from utd_rx.models.connection import DisconnectReason
from utd_rx.models.participant import (
    LocalParticipant,
    ParticipantPermission,
    TrackPublication,
    TrackSource,
)
from utd_rx.models.seats import UTDSeat, UTDSeatGrid
from utd_rx.protocol import audio_room as rules
from utd_rx.protocol import session
from utd_rx.protocol.audio_room import AudioRoomState
from utd_rx.protocol.facts.connection import (
    DeadlinePassed,
    JoinStarted,
    JoinSucceeded,
    LeaveStarted,
    Rejoin,
)
from utd_rx.protocol.facts.media import CloseTrack, OpenTrack, PublishingWanted, TrackOpened
from utd_rx.protocol.facts.seats import (
    FetchInvitations,
    FetchSeats,
    InvitationsNotListed,
    SeatGridFetched,
    SeatGridReceived,
)
from utd_rx.protocol.wire.seats import grid_to_push

GRANTED = e.ParticipantPermissionsChanged("me", ParticipantPermission(can_publish=True))
REVOKED = e.ParticipantPermissionsChanged("me", ParticipantPermission())


def grid(*identities: str | None, rev: int = 1) -> UTDSeatGrid:
    return UTDSeatGrid(
        tuple(UTDSeat(i, identity) for i, identity in enumerate(identities)), revision=rev
    )


FETCHED = SeatGridFetched(grid("me", rev=2), 1)
SEATED, EMPTY = SeatGridReceived(grid("me", rev=2)), SeatGridReceived(grid(None, rev=3))


def snapshot(metadata: object = None) -> e.RoomSnapshot:
    return e.RoomSnapshot(
        "room", LocalParticipant("me"), metadata="" if metadata is None else json.dumps(metadata)
    )


def run(*facts: object, now: float = 0.0) -> tuple[AudioRoomState, list[object]]:
    state = AudioRoomState("me")
    effects: list[object] = []
    for fact in (JoinStarted(), JoinSucceeded(1, snapshot()), *facts):
        state, more = rules.step(state, fact, now)
        effects += more
    return state, effects


def push(sender: str | None, **message: object) -> e.DataReceived:
    return e.DataReceived(json.dumps(message).encode(), sender)


def test_the_grid_of_the_metadata_is_known_at_once_and_nothing_is_fetched() -> None:
    state, _ = rules.step(AudioRoomState("me"), JoinStarted(), 0.0)
    metadata = {"_seats": grid_to_push(grid("ana"))}
    state, effects = rules.step(state, JoinSucceeded(1, snapshot(metadata)), 0.0)
    assert (state.seats.grid, effects) == (grid("ana"), (FetchInvitations(1),))


def test_without_it_the_grid_is_fetched() -> None:
    assert run()[1] == [FetchSeats(0), FetchInvitations(1)]


def test_publishing_needs_the_seat_and_the_grant_in_either_order() -> None:
    for facts in ((SEATED, GRANTED), (GRANTED, SEATED)):
        _, effects = run(*facts, PublishingWanted(TrackSource.MICROPHONE, True))
        assert OpenTrack(TrackSource.MICROPHONE, 0) in effects
    for fact in (SEATED, GRANTED):
        _, effects = run(fact, PublishingWanted(TrackSource.MICROPHONE, True))
        assert OpenTrack(TrackSource.MICROPHONE, 0) not in effects


def test_losing_either_takes_the_microphone_down_at_once() -> None:
    published = (
        SEATED,
        GRANTED,
        PublishingWanted(TrackSource.MICROPHONE, True),
        TrackOpened(TrackSource.MICROPHONE, 0, TrackPublication("TR_1")),
    )
    for loss in (EMPTY, REVOKED):
        _, effects = run(*published, loss)
        assert effects[-1] == CloseTrack(TrackSource.MICROPHONE, 1, "TR_1")


def test_metadata_moves_seats_and_a_push_asks_for_them() -> None:
    message = grid_to_push(grid("ana", rev=5))
    changed = e.RoomMetadataChanged(json.dumps({"_seats": message}))
    assert run(changed)[0].seats.grid == grid("ana", rev=5)
    pushed, effects = run(SEATED, FETCHED, push(None, type="_seat_update", **message))
    assert (pushed.seats.grid, effects[-1]) == (SEATED.grid, FetchSeats(1, 1))


def test_a_push_of_what_is_known_asks_nothing() -> None:
    state, _ = run(SEATED, FETCHED)
    for known in (SEATED.grid, grid("me", rev=1)):
        echo = push(None, type="_seat_update", **grid_to_push(known))
        assert rules.step(state, echo, 0.0) == (state, ())


def test_a_flood_of_hints_costs_one_request_under_way() -> None:
    hints = [push(None, type="_seat_update", **grid_to_push(grid("x", rev=n))) for n in range(9)]
    state, effects = run(SEATED, FETCHED, *hints)
    assert effects.count(FetchSeats(1, 1)) == 1
    _, effects_after = rules.step(state, SeatGridFetched(grid("me", rev=2), 1), 0.0)
    assert effects_after == (FetchSeats(1, 2),)


def test_a_participant_who_forges_an_engine_message_is_refused_and_counted() -> None:
    forged = push("mallory", type="_seat_update", **grid_to_push(grid("mallory", rev=99)))
    state, _ = run(SEATED, forged)
    assert (state.seats.grid, state.forged) == (SEATED.grid, 1)


def test_chat_is_neither_a_forgery_nor_a_fact() -> None:
    state, _ = run(push("ana", text="hello"), e.DataReceived(b"\xff{not json", "ana"))
    assert state == run()[0]


def test_an_ended_connection_knows_no_seats() -> None:
    state, _ = run(SEATED, GRANTED, e.Disconnected(DisconnectReason.ROOM_CLOSED))
    assert state.my_seat is None
    assert not state.session.microphone.is_granted


def test_a_long_outage_fetches_the_grid_again() -> None:
    state, _ = run(SEATED, FETCHED, InvitationsNotListed(1, is_absent=True), e.Reconnecting())
    back = e.Reconnected(snapshot())
    assert rules.step(state, back, 5.0)[1] == (FetchInvitations(1),)
    assert rules.step(state, back, 20.0)[1] == (FetchSeats(1, 1), FetchInvitations(1))


def test_what_a_join_that_is_over_still_says_changes_nothing_but_its_count() -> None:
    locked = e.RoomMetadataChanged(json.dumps({"_comment_lock": {"locked": True}}))
    now, _ = run(LeaveStarted(), JoinStarted(), JoinSucceeded(2, snapshot()), locked)
    after, _ = rules.step(now, JoinSucceeded(1, snapshot()), 0.0)
    late = evolve(now.session.connection, late=1)
    assert after.session == evolve(now.session, connection=late)
    assert after.session.chat.is_locked


def test_without_a_connection_no_grid_is_believed_so_a_join_begins_with_none() -> None:
    news = e.RoomMetadataChanged(json.dumps({"_seats": grid_to_push(grid("me", rev=50))}))
    fetched = SeatGridFetched(grid("me", rev=50), 3)
    back = e.Reconnected(snapshot({"_seats": grid_to_push(grid("me", rev=50))}))
    for late in (news, fetched, back, SEATED):
        for before in (
            (LeaveStarted(), late, JoinStarted()),
            (LeaveStarted(), JoinStarted(), late),
        ):
            state, _ = run(SEATED, GRANTED, *before)
            assert (state.my_seat, state.seats.is_known) == (None, False)
            # The room was made anew, and counts from the beginning.
            metadata = {"_seats": grid_to_push(grid(None, None, rev=1))}
            state, _ = rules.step(state, JoinSucceeded(2, snapshot(metadata)), 0.0)
            assert state.seats.grid == grid(None, None, rev=1)


@given(st.lists(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), max_size=5))
def test_no_data_message_raises_or_moves_a_seat(payloads: list[bytes]) -> None:
    state, _ = run(SEATED, FETCHED)
    after = state
    for payload in payloads:
        for sender in (None, "mallory"):
            after, _ = rules.step(after, e.DataReceived(payload, sender), 0.0)
    assert evolve(after, forged=0) == state


LOST = e.Disconnected(DisconnectReason.UNKNOWN)
SPEAKING = (
    SEATED,
    GRANTED,
    PublishingWanted(TrackSource.MICROPHONE, True),
    TrackOpened(TrackSource.MICROPHONE, 0, TrackPublication("T")),
)
STILL_MINE = {"_seats": grid_to_push(grid("me", rev=3))}
NOT_MINE = {"_seats": grid_to_push(grid("ana", rev=3))}


def test_a_lost_connection_keeps_roster_seat_and_intent_and_tries_again() -> None:
    state, effects = run(*SPEAKING, LOST)
    assert effects[-1] == Rejoin(1)
    microphone = state.session.microphone
    assert (microphone.is_wanted, microphone.track) == (True, None)
    assert state.my_seat is not None
    assert OpenTrack(TrackSource.MICROPHONE, 1) not in effects


def test_what_should_be_published_is_published_when_the_grant_is_back() -> None:
    back = e.Reconnected(snapshot(STILL_MINE))
    state, effects = run(*SPEAKING, LOST, back)
    assert OpenTrack(TrackSource.MICROPHONE, 1) not in effects
    assert rules.step(state, GRANTED, 5.0)[1] == (OpenTrack(TrackSource.MICROPHONE, 1),)


def test_who_lost_the_seat_meanwhile_is_not_heard_with_the_next_one() -> None:
    state, _ = run(*SPEAKING, LOST, e.Reconnected(snapshot(NOT_MINE)))
    assert not state.session.microphone.is_wanted
    late, _ = run(*SPEAKING, LOST, e.Reconnected(snapshot(STILL_MINE)))
    late, _ = rules.step(late, DeadlinePassed(), session.RESUME_SECONDS)
    assert not late.session.microphone.is_wanted


def test_a_switch_off_during_the_outage_counts() -> None:
    back = e.Reconnected(snapshot(STILL_MINE))
    _, effects = run(
        *SPEAKING, LOST, PublishingWanted(TrackSource.MICROPHONE, False), back, GRANTED
    )
    assert OpenTrack(TrackSource.MICROPHONE, 1) not in effects
