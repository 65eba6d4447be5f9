"""Speak requests and invitations: who waits, who is asked, and when either ends."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.engine.rules.asks import (
    AcceptInvitation,
    ApproveRequest,
    CancelRequest,
    DeclineInvitation,
    Invite,
    LeaveSeat,
    LockSeat,
    RejectRequest,
    RequestSeat,
    SetUpSeats,
    SpeakerCommand,
    TakeSeat,
    command,
)
from utd_rx.engine.rules import seat_state as seat_rules
from utd_rx.engine.rules.effects import ApplyGrant, PublishSeats, Push, TellModerators
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import Actor, Role
from utd_rx.engine.rules.seat_state import ABSENCE_SECONDS, Changed, SeatState
from utd_rx.engine.rules.speakers import INVITATION_SECONDS, MAX_REQUESTS
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import SpeakRequest, UTDSeatMode

HOST = Actor("sara", Role.HOST)
ADMIN = Actor("adam", Role.ADMIN)
MONA, OMAR = Actor("mona"), Actor("omar")
BACKEND = Actor(None, Role.HOST)
ASKED = "2026-05-04T10:00:00.000Z"
ASK = RequestSeat(ASKED)


def seats_of(count: int = 3, *, free: bool = False) -> SeatState:
    mode = UTDSeatMode.FREE if free else UTDSeatMode.REQUEST
    seats = SeatState(host="sara")
    seats, _ = command(seats, HOST, SetUpSeats(count, mode), 0.0)
    for identity in ("sara", "adam", "mona", "omar"):
        seats = seat_rules.joined(seats, identity)
    return seats


def step(seats: SeatState, actor: Actor, item: SpeakerCommand, now: float = 0.0) -> Changed:
    return seat_rules.command(seats, actor, now, item)


def after(seats: SeatState, *steps: tuple[Actor, SpeakerCommand], now: float = 0.0) -> SeatState:
    for actor, item in steps:
        seats, _, _ = step(seats, actor, item, now)
    return seats


def status(seats: SeatState, actor: Actor, item: SpeakerCommand, now: float = 0.0) -> int:
    with pytest.raises(Refusal) as caught:
        step(seats, actor, item, now)
    return caught.value.status


def test_a_request_joins_the_queue_and_the_moderators_hear_of_it() -> None:
    seats, effects, outcome = step(seats_of(), MONA, ASK)
    assert seats.grid.requests == (SpeakRequest(1, "mona", ASKED),)
    assert outcome == {"request_id": 1}
    told = FrozenMap({"request_id": 1, "identity": "mona", "created_at": ASKED})
    assert effects == (PublishSeats(), TellModerators("_speaker_request", told))


def test_the_queue_is_in_order_and_ids_grow() -> None:
    seats = after(seats_of(), (MONA, ASK), (OMAR, ASK), (MONA, CancelRequest()), (MONA, ASK))
    assert [(r.id, r.identity) for r in seats.grid.requests] == [(2, "omar"), (3, "mona")]


@pytest.mark.parametrize(
    ("prepared", "actor", "item", "expected"),
    [
        (((MONA, ASK),), MONA, ASK, 409),
        ((), BACKEND, ASK, 422),
        ((), HOST, ApproveRequest(1), 404),
        ((), HOST, RejectRequest(-1), 404),
        ((), HOST, Invite("sara"), 422),
        ((), HOST, Invite("nobody"), 404),
        ((), HOST, Invite("mona", 3), 422),
        ((), BACKEND, Invite("mona"), 422),
        (((HOST, Invite("mona")),), ADMIN, Invite("mona"), 409),
        (((HOST, Invite("mona")),), OMAR, AcceptInvitation(1), 403),
        (((HOST, Invite("mona")),), HOST, DeclineInvitation(1), 403),
        (((HOST, Invite("mona")),), MONA, AcceptInvitation(2), 404),
        (((HOST, Invite("mona")), (MONA, AcceptInvitation(1))), MONA, AcceptInvitation(1), 404),
        (((HOST, Invite("mona")), (MONA, DeclineInvitation(1))), MONA, AcceptInvitation(1), 404),
        (((HOST, Invite("mona")), (MONA, AcceptInvitation(1))), HOST, Invite("mona"), 409),
        (((HOST, Invite("mona")), (MONA, AcceptInvitation(1))), MONA, ASK, 409),
        (((MONA, ASK), (HOST, RejectRequest(1))), HOST, ApproveRequest(1), 404),
        (((HOST, Invite("mona")),), HOST, ApproveRequest(1), 404),
        (((MONA, ASK),), MONA, AcceptInvitation(1), 404),
    ],
)
def test_an_illegal_command_is_refused(
    prepared: tuple[tuple[Actor, SpeakerCommand], ...],
    actor: Actor,
    item: SpeakerCommand,
    expected: int,
) -> None:
    assert status(after(seats_of(), *prepared), actor, item) == expected


def test_in_free_mode_there_is_nothing_to_request() -> None:
    assert status(seats_of(free=True), MONA, ASK) == 409


def test_the_queue_has_an_end() -> None:
    seats = seats_of()
    crowd = tuple(SpeakRequest(n, f"u{n}") for n in range(MAX_REQUESTS))
    assert status(evolve(seats, grid=evolve(seats.grid, requests=crowd)), MONA, ASK) == 409


def test_approving_seats_on_the_first_free_seat() -> None:
    seats = seats_of(3)
    seats, _ = command(seats, HOST, LockSeat(0), 0.0)
    reserved = evolve(seats.grid.seats[1], reserved_for="sara")
    grid = evolve(seats.grid, seats=(seats.grid.seats[0], reserved, seats.grid.seats[2]))
    seats = after(evolve(seats, grid=grid), (MONA, ASK))
    seats, effects, outcome = step(seats, ADMIN, ApproveRequest(1))
    assert outcome == {"request_id": 1, "identity": "mona", "seat_index": 2}
    assert seats.grid.seats[2].identity == "mona"
    assert seats.grid.requests == ()
    told = FrozenMap({"request_id": 1, "identity": "mona", "seat_index": 2})
    assert effects == (
        ApplyGrant("mona"),
        PublishSeats(),
        Push("_speaker_request_approved", told, ("mona",)),
    )


def test_with_all_seats_taken_approving_is_refused_and_the_request_stays() -> None:
    seats = after(seats_of(1), (MONA, ASK), (OMAR, ASK), (HOST, ApproveRequest(1)))
    assert status(seats, HOST, ApproveRequest(2)) == 409
    assert [r.id for r in seats.grid.requests] == [2]
    seats, _ = command(seats, MONA, LeaveSeat(), 0.0)
    assert after(seats, (HOST, ApproveRequest(2))).seated == {"omar"}


def test_rejecting_tells_the_requester_only() -> None:
    seats, effects, outcome = step(after(seats_of(), (MONA, ASK)), HOST, RejectRequest(1))
    assert outcome == {"request_id": 1, "identity": "mona"}
    told = FrozenMap({"request_id": 1, "identity": "mona"})
    assert effects == (PublishSeats(), Push("_speaker_request_rejected", told, ("mona",)))
    assert seats.grid.requests == ()


def test_cancelling_nothing_does_nothing() -> None:
    seats = seats_of()
    assert step(seats, MONA, CancelRequest()) == (seats, (), {"request_id": None})


def test_standing_up_without_a_seat_keeps_the_request() -> None:
    seats = after(seats_of(), (MONA, ASK))
    assert command(seats, MONA, LeaveSeat(), 0.0) == (seats, ())


def test_who_sits_down_otherwise_waits_no_more() -> None:
    seats = after(seats_of(), (ADMIN, ASK))
    seats, _ = command(seats, ADMIN, TakeSeat(0), 0.0)
    assert seats.grid.requests == ()


def test_an_invitation_is_between_two_and_changes_no_grid() -> None:
    seats = seats_of()
    invited, effects, outcome = step(seats, HOST, Invite("mona", 2))
    assert invited.grid == seats.grid
    assert outcome == {"invitation_id": 1}
    told = FrozenMap(
        {
            "invitation_id": 1,
            "inviter_identity": "sara",
            "target_identity": "mona",
            "seat_index": 2,
        }
    )
    assert effects == (Push("_speaker_invitation", told, ("mona",)),)


@pytest.mark.parametrize("free", [True, False])
def test_accepting_seats_in_either_mode(free: bool) -> None:
    seats = after(seats_of(free=free), (HOST, Invite("mona", 2)))
    seats, effects, outcome = step(seats, MONA, AcceptInvitation(1))
    assert outcome == {"invitation_id": 1, "seat_index": 2}
    assert seats.seated == {"mona"}
    assert seats.invitations == ()
    assert effects[:2] == (ApplyGrant("mona"), PublishSeats())
    assert isinstance(effects[2], Push)
    assert (effects[2].type, effects[2].to) == ("_speaker_invitation_accepted", ("sara",))
    assert effects[2].payload["seat_index"] == 2


def test_the_seat_offered_is_not_held_and_another_one_will_do() -> None:
    seats = after(seats_of(free=True), (HOST, Invite("mona", 2)))
    seats, _ = command(seats, OMAR, TakeSeat(2), 0.0)
    assert step(seats, MONA, AcceptInvitation(1))[2]["seat_index"] == 0


def test_with_all_seats_taken_accepting_is_refused_and_the_invitation_stays() -> None:
    seats = after(seats_of(1, free=True), (HOST, Invite("mona")))
    seats, _ = command(seats, OMAR, TakeSeat(0), 0.0)
    assert status(seats, MONA, AcceptInvitation(1)) == 409
    seats, _ = command(seats, OMAR, LeaveSeat(), 0.0)
    assert after(seats, (MONA, AcceptInvitation(1))).seated == {"mona"}


@pytest.mark.parametrize(("index", "expected"), [(0, 409), (1, 403), (2, 403)])
def test_nobody_is_invited_onto_a_seat_they_cannot_have(index: int, expected: int) -> None:
    seats = seats_of(free=True)
    seats, _ = command(seats, OMAR, TakeSeat(0), 0.0)
    seats, _ = command(seats, HOST, LockSeat(1), 0.0)
    seats, _ = command(seats, HOST, SetUpSeats(host_seat=2), 0.0)
    assert status(seats, HOST, Invite("mona", index)) == expected


def test_declining_tells_the_inviter() -> None:
    seats = after(seats_of(), (ADMIN, Invite("mona", 1)))
    seats, effects, _ = step(seats, MONA, DeclineInvitation(1))
    told = FrozenMap({"invitation_id": 1, "inviter_identity": "adam", "target_identity": "mona"})
    assert effects == (Push("_speaker_invitation_declined", told, ("adam",)),)
    assert seats.invitations == ()


def test_an_invitation_lives_60_s() -> None:
    seats = after(seats_of(), (HOST, Invite("mona")), now=100.0)
    due = 100.0 + INVITATION_SECONDS
    assert seats.next_deadline == due
    assert status(seats, MONA, AcceptInvitation(1), now=due) == 404
    assert step(seats, ADMIN, Invite("mona"), now=due)[0].invitations[0].invitation.id == 2
    assert seat_rules.time_passed(seats, due - 0.1) == (seats, ())
    ended, effects = seat_rules.time_passed(seats, due)
    assert (ended.invitations, effects, ended.next_deadline) == ((), (), None)


@pytest.mark.parametrize("who", ["mona", "sara"])
def test_an_invitation_ends_when_either_leaves(who: str) -> None:
    seats = after(seats_of(), (HOST, Invite("mona")))
    gone, _ = seat_rules.left(seats, who, 0.0, 0.0)
    assert gone.invitations == ()
    away, _ = seat_rules.left(seats, who, 0.0, 2.0)
    assert away.invitations == seats.invitations
    assert seat_rules.time_passed(away, 2.0)[0].invitations == ()
    back = seat_rules.joined(away, who)
    assert seat_rules.time_passed(back, 2.0)[0].invitations == seats.invitations


def test_a_request_ends_when_the_requester_leaves() -> None:
    seats = after(seats_of(), (MONA, ASK))
    away, effects = seat_rules.left(seats, "mona", 0.0, 2.0)
    assert effects == ()
    gone, effects = seat_rules.time_passed(away, 2.0)
    assert gone.grid.requests == ()
    assert effects == (PublishSeats(),)


def test_a_request_from_outside_waits_20_s_for_its_requester() -> None:
    seats = after(seats_of(), (Actor("eve"), ASK), now=50.0)
    assert seats.next_deadline == 50.0 + ABSENCE_SECONDS
    kept = after(seats, (HOST, ApproveRequest(1)), now=60.0)
    assert kept.next_deadline == 50.0 + ABSENCE_SECONDS, "the clock was ticking already"
