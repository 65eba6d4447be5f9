"""Who gets which role, who may publish, and which session counts."""

from __future__ import annotations

import pytest

from tests.engine.rules.asks import SetUpSeats, TakeSeat, command_seats
from utd_rx.engine.rules import moderation, room_state
from utd_rx.engine.rules.effects import ApplyGrant, Remove, WriteRole
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import LISTEN, SPEAK, STAR, Grant, Role, clamp
from utd_rx.engine.rules.room_state import MAX_ABSENT, Admission, RoomState, Session
from utd_rx.models.stream_type import UTDStreamType

AUDIO, LIVE = UTDStreamType.AUDIO_ROOM, UTDStreamType.LIVE_STREAM


def admit(
    room: RoomState | None,
    identity: str,
    role: Role = Role.AUDIENCE,
    *,
    type_: UTDStreamType = AUDIO,
    proven: bool = False,
    owner: str | None = None,
    seats: SetUpSeats | None = None,
    override: Grant | None = None,
) -> RoomState:
    asked = Admission(
        identity, type_, role, owner, is_proven=proven, seats=seats, override=override
    )
    room = room or room_state.fresh("friday", type_, 1)
    return room_state.admit(room, asked, 1, 0.0)[0]


@pytest.mark.parametrize(
    ("claimed", "stored", "is_owner", "is_proven", "granted"),
    [
        (Role.HOST, None, True, False, Role.HOST),
        (Role.AUDIENCE, None, True, False, Role.HOST),
        (Role.HOST, None, False, False, Role.AUDIENCE),
        (Role.ADMIN, None, False, False, Role.AUDIENCE),
        (Role.GUEST, None, False, False, Role.AUDIENCE),
        (Role.VISITOR, None, False, False, Role.VISITOR),
        (Role.AUDIENCE, Role.ADMIN, False, False, Role.ADMIN),
        (Role.HOST, Role.GUEST, False, False, Role.GUEST),
        (Role.HOST, None, False, True, Role.AUDIENCE),
        (Role.ADMIN, None, False, True, Role.ADMIN),
        (Role.ADMIN, Role.GUEST, False, True, Role.ADMIN),
        (Role.AUDIENCE, Role.ADMIN, False, True, Role.ADMIN),
    ],
)
def test_roles_are_clamped(
    claimed: Role, stored: Role | None, is_owner: bool, is_proven: bool, granted: Role
) -> None:
    assert clamp(claimed, stored=stored, is_owner=is_owner, is_proven=is_proven) is granted


def test_the_first_host_owns_the_room() -> None:
    room = admit(admit(None, "sara", Role.HOST), "omar", Role.HOST)
    assert room.owner == "sara"
    assert room_state.role_of(room, "sara") is Role.HOST
    assert room_state.role_of(room, "omar") is Role.AUDIENCE
    assert room_state.role_of(room, "nobody") is None


def test_a_listener_who_comes_first_does_not_own_it() -> None:
    room = admit(admit(None, "omar"), "sara", Role.HOST)
    assert room.owner == "sara"


def test_an_owner_is_believed_only_with_the_secret() -> None:
    assert admit(None, "omar", Role.HOST, owner="sara").owner == "omar"
    room = admit(None, "omar", Role.HOST, owner="sara", proven=True)
    assert room.owner == "sara"
    assert room_state.role_of(room, "omar") is Role.AUDIENCE
    assert room.seats.host == "sara"


def test_a_backends_admin_stays_admin() -> None:
    room = admit(admit(None, "sara", Role.HOST), "adam", Role.ADMIN, proven=True)
    room = admit(room, "adam")
    assert room_state.role_of(room, "adam") is Role.ADMIN


def test_a_room_has_one_type() -> None:
    with pytest.raises(Refusal) as caught:
        admit(admit(None, "sara", Role.HOST), "omar", type_=LIVE)
    assert caught.value.status == 409


def test_only_the_host_seeds_the_grid_and_only_once() -> None:
    asked = SetUpSeats(count=8, host_seat=0)
    room = admit(admit(None, "omar", seats=asked), "sara", Role.HOST, seats=asked)
    assert room.seats.grid.count == 8
    assert room.seats.grid.seats[0].reserved_for == "sara"
    assert admit(room, "sara", Role.HOST, seats=SetUpSeats(count=2)).seats.grid.count == 8
    assert admit(None, "omar", seats=asked).seats.grid.count == 0
    live = admit(None, "sara", Role.HOST, seats=asked, type_=LIVE)
    assert live.seats.grid.count == 0


def test_in_an_audio_room_who_sits_publishes_whatever_the_role() -> None:
    room = admit(None, "sara", Role.HOST, seats=SetUpSeats(count=2))
    room = admit(room, "omar", override=Grant(can_publish=True), proven=True)
    assert room_state.grant_of(room, "sara") == LISTEN
    assert room_state.grant_of(room, "omar") == LISTEN
    room, _ = command_seats(room, room_state.actor_of(room, "sara"), TakeSeat(0), 0.0)
    assert room_state.grant_of(room, "sara") == SPEAK


def test_in_a_live_stream_the_host_publishes_by_role() -> None:
    room = admit(admit(None, "sara", Role.HOST, type_=LIVE), "omar", Role.GUEST, type_=LIVE)
    assert room_state.grant_of(room, "sara") == STAR
    assert room_state.grant_of(room, "omar") == LISTEN
    room = admit(room, "bot", type_=LIVE, proven=True, override=Grant(can_publish=True))
    assert room_state.grant_of(room, "bot") == STAR


def test_joining_corrects_what_the_token_did_not_know() -> None:
    room = admit(None, "sara", Role.HOST, seats=SetUpSeats(count=2))
    room, _ = command_seats(room, room_state.actor_of(room, "sara"), TakeSeat(0), 0.0)
    room, effects = room_state.joined(room, Session("sara", "PA_1", LISTEN), 0.0)
    assert effects == (ApplyGrant("sara"),)
    _, effects = room_state.joined(room, Session("sara", "PA_2", SPEAK), 0.0)
    assert effects == ()


def test_the_end_of_a_replaced_session_is_nobodys_end() -> None:
    room = admit(None, "sara", Role.HOST, seats=SetUpSeats(count=2))
    room, _ = room_state.joined(room, Session("sara", "PA_1"), 0.0)
    room, _ = command_seats(room, room_state.actor_of(room, "sara"), TakeSeat(0), 0.0)
    room, _ = room_state.joined(room, Session("sara", "PA_2"), 0.0)
    room, effects = room_state.left(room, Session("sara", "PA_1"), 0.0, 0.0)
    assert effects == ()
    assert room.sessions == {"sara": "PA_2"}
    assert room.seats.seated == {"sara"}


def test_a_report_of_joining_that_comes_after_leaving_makes_no_ghost() -> None:
    room = admit(None, "sara", Role.HOST)
    room, _ = room_state.left(room, Session("sara", "PA_1"), 0.0, 0.0)
    room, _ = room_state.joined(room, Session("sara", "PA_1"), 0.0)
    assert room.sessions == {}


def test_the_ends_that_are_remembered_are_bounded() -> None:
    room = admit(None, "sara", Role.HOST)
    for n in range(100):
        room, _ = room_state.left(room, Session("sara", f"PA_{n}"), 0.0, 0.0)
    assert room.ended == tuple(f"PA_{n}" for n in range(36, 100))


def test_of_those_who_minted_and_never_came_the_last_are_remembered() -> None:
    room = admit(None, "sara", Role.HOST)
    room = admit(room, "adam", Role.ADMIN, proven=True)
    room = admit(room, "narrow", proven=True, override=Grant(can_publish_data=False))
    for who in ("here", "asks"):
        room = admit(room, who)
    room, _ = room_state.joined(room, Session("here", "PA_1"), 0.0)
    room, *_ = command_seats(room, room_state.actor_of(room, "sara"), SetUpSeats(count=2), 0.0)
    room, *_ = command_seats(room, room_state.actor_of(room, "asks"), TakeSeat(1), 0.0)
    for n in range(MAX_ABSENT + 500):
        asked = Admission(f"u{n}", AUDIO, Role.AUDIENCE)
        room, _, _ = room_state.admit(room, asked, 2 + n, 0.0)
        assert len(room.members) <= MAX_ABSENT + 1
    assert {"sara", "adam", "narrow", "here", "asks"} < room.members.keys()
    assert "u0" not in room.members
    assert f"u{MAX_ABSENT + 499}" in room.members
    assert len(room.members) > 0.8 * MAX_ABSENT


@pytest.mark.parametrize(
    ("claimed", "owner", "role"),
    [
        (Role.HOST, None, Role.HOST),
        (Role.ADMIN, None, Role.AUDIENCE),
        (Role.HOST, "bob", Role.AUDIENCE),
        (Role.ADMIN, "bob", Role.AUDIENCE),
        (Role.GUEST, "bob", Role.AUDIENCE),
        (Role.VISITOR, "bob", Role.VISITOR),
    ],
)
def test_the_roles_of_a_room_end_with_it(claimed: Role, owner: str | None, role: Role) -> None:
    successor = RoomState("friday", AUDIO, owner)
    room = admit(successor, "alice", claimed)
    assert room_state.role_of(room, "alice") is role
    assert room.owner == (owner or ("alice" if role is Role.HOST else None))
    _, effects = room_state.joined(room, Session("alice", "PA_1", LISTEN, claimed), 0.0)
    assert (WriteRole("alice") in effects) is (role is not claimed)


def test_the_expelled_lose_seat_membership_and_connection() -> None:
    room = admit(admit(None, "sara", Role.HOST, seats=SetUpSeats(count=2)), "omar")
    room, _ = room_state.joined(room, Session("omar", "PA_1"), 0.0)
    room, _ = command_seats(room, room_state.actor_of(room, "omar"), TakeSeat(0), 0.0)
    room, effects = moderation.expel(room, "omar", 0.0)
    assert effects[0] == ApplyGrant("omar")
    assert effects[-1] == Remove("omar", "PA_1")
    assert room.seats.seated == frozenset()
    assert room_state.role_of(room, "omar") is None
