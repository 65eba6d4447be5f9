"""Roles, chat lock, mutes, silence and permissions: who reaches whom, and what follows."""

from __future__ import annotations

import pytest

from tests.engine.rules.asks import (
    AcceptInvitation,
    ApproveRequest,
    Invite,
    LeaveSeat,
    MoveSeat,
    MuteSeat,
    RequestSeat,
    SetUpSeats,
    TakeSeat,
    command_seats,
    command_speakers,
)
from tests.engine.rules.test_room_state import AUDIO, LIVE, admit
from utd_rx.engine.rules import moderation, room_state
from utd_rx.engine.rules.effects import (
    ApplyGrant,
    MuteTracks,
    PublishMetadata,
    PublishSeats,
    Push,
    WriteRole,
)
from utd_rx.engine.rules.refusal import Refusal
from utd_rx.engine.rules.roles import LISTEN, SPEAK, STAR, Actor, Grant, Role
from utd_rx.engine.rules.room_state import RoomState, Session
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.participant import TrackSource
from utd_rx.models.seats import UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType
from utd_rx.protocol.wire.reading import read_int

HOST = Actor("sara", Role.HOST)
ADMIN = Actor("adam", Role.ADMIN)
BACKEND = Actor(None, Role.HOST)


def room_of(
    type_: UTDStreamType = AUDIO, mode: UTDSeatMode = UTDSeatMode.FREE, *, count: int = 3
) -> RoomState:
    room = admit(None, "sara", Role.HOST, type_=type_, seats=SetUpSeats(count, mode))
    room = admit(room, "adam", Role.ADMIN, type_=type_, proven=True)
    for identity in ("mona", "omar"):
        room = admit(room, identity, type_=type_)
    for identity in ("sara", "adam", "mona"):
        room, _ = room_state.joined(room, Session(identity, f"PA_{identity}"), 0.0)
    return room


def refused(call: object) -> int:
    assert callable(call)
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.status


def test_a_role_is_remembered_written_and_told() -> None:
    room, effects, change = moderation.set_role(room_of(), HOST, 0.0, "mona", Role.ADMIN)
    assert room_state.role_of(room, "mona") is Role.ADMIN
    payload = {"identity": "mona", "role": "admin", "previous_role": "audience"}
    assert change == payload
    assert effects == (WriteRole("mona"), Push("_role_change", FrozenMap(payload)))
    assert room_state.role_of(admit(room, "mona"), "mona") is Role.ADMIN
    demoted, _, change = moderation.set_role(room, BACKEND, 0.0, "mona", Role.VISITOR)
    assert (change["role"], change["previous_role"]) == ("visitor", "admin")
    assert room_state.role_of(admit(demoted, "mona"), "mona") is Role.VISITOR


@pytest.mark.parametrize(
    ("target", "role", "status"),
    [
        ("mona", Role.HOST, 422),
        ("sara", Role.ADMIN, 422),
        ("omar", Role.ADMIN, 404),
        ("nobody", Role.ADMIN, 404),
        ("mona", Role.AUDIENCE, 409),
        ("adam", Role.ADMIN, 409),
    ],
)
def test_a_role_that_cannot_be_given(target: str, role: Role, status: int) -> None:
    room = room_of()
    for actor in (HOST, BACKEND):
        assert (
            refused(lambda actor=actor: moderation.set_role(room, actor, 0.0, target, role))
            == status
        )


def test_a_new_role_takes_no_seat_away() -> None:
    room = room_of()
    room, _ = command_seats(room, room_state.actor_of(room, "adam"), TakeSeat(0), 0.0)
    room, _, _ = moderation.set_role(room, HOST, 0.0, "adam", Role.VISITOR)
    assert room_state.grant_of(room, "adam") == SPEAK


def test_joining_on_a_token_of_an_older_role_corrects_the_metadata() -> None:
    room, _, _ = moderation.set_role(room_of(), HOST, 0.0, "mona", Role.GUEST)
    session = Session("mona", "PA_2", LISTEN, Role.AUDIENCE)
    assert room_state.joined(room, session, 0.0)[1] == (WriteRole("mona"),)
    session = Session("mona", "PA_3", LISTEN, Role.GUEST)
    assert room_state.joined(room, session, 0.0)[1] == ()


def test_the_moderators_who_hear_of_requests_are_those_connected() -> None:
    room = admit(room_of(), "ayla", Role.ADMIN, proven=True)
    assert room_state.moderators_of(room) == ("sara", "adam")


def test_the_chat_lock_is_published_once() -> None:
    room, effects, _ = moderation.lock_comments(room_of(), HOST, 0.0, is_locked=True)
    assert effects == (PublishMetadata(), Push("_comment_lock", FrozenMap({"locked": True})))
    assert moderation.lock_comments(room, HOST, 0.0, is_locked=True)[:2] == (room, ())
    assert not moderation.lock_comments(room, HOST, 0.0, is_locked=False)[0].are_comments_locked


def test_muting_names_the_tracks() -> None:
    room = room_of()
    after, effects, _ = moderation.mute(
        room, ADMIN, 0.0, "mona", is_muted=True, kinds=("audio", "video")
    )
    assert effects == (MuteTracks("mona", True, ("audio", "video")),)
    assert after == room, "who does not sit has no track to come"


def test_a_mute_of_who_sits_holds_for_the_next_track_until_it_or_the_seat_ends() -> None:
    room, _ = command_seats(room_of(), Actor("mona"), TakeSeat(1), 0.0)
    assert room_state.published(room, "mona", 0.0)[1] == ()
    muted, _, _ = moderation.mute(room, ADMIN, 0.0, "mona", is_muted=True, kinds=("audio",))
    by_seat, _ = command_seats(room, ADMIN, MuteSeat(1, is_muted=True), 0.0)
    assert muted == by_seat
    assert room_state.published(muted, "mona", 0.0)[1] == (MuteTracks("mona", True),)
    assert room_state.published(muted, "sara", 0.0)[1] == ()
    moved, _ = command_seats(muted, Actor("mona"), MoveSeat(2), 0.0)
    assert room_state.published(moved, "mona", 0.0)[1] == (MuteTracks("mona", True),)
    unmuted, _, _ = moderation.mute(muted, ADMIN, 0.0, "mona", is_muted=False, kinds=("audio",))
    stood, _ = command_seats(muted, Actor("mona"), LeaveSeat(), 0.0)
    again, _ = command_seats(stood, Actor("mona"), TakeSeat(1), 0.0)
    video, _, _ = moderation.mute(room, ADMIN, 0.0, "mona", is_muted=True, kinds=("video",))
    opened = room_state.opened(muted, "mona")
    for over in (unmuted, opened, stood, again, video, moderation.expel(muted, "mona", 0.0)[0]):
        assert room_state.published(over, "mona", 0.0)[1] == ()


@pytest.mark.parametrize(
    ("actor", "target", "kinds", "status"),
    [
        (ADMIN, "sara", ("audio",), 403),
        (HOST, "omar", ("audio",), 404),
        (HOST, "nobody", ("audio",), 404),
        (HOST, "mona", (), 422),
    ],
)
def test_a_mute_that_is_refused(
    actor: Actor, target: str, kinds: tuple[str, ...], status: int
) -> None:
    room = room_of()
    assert (
        refused(lambda: moderation.mute(room, actor, 0.0, target, is_muted=True, kinds=kinds))
        == status
    )


def test_the_silenced_lose_the_seat_and_get_none_by_any_way() -> None:
    room = room_of(mode=UTDSeatMode.REQUEST)
    room, _ = command_seats(room, room_state.actor_of(room, "adam"), TakeSeat(0), 0.0)
    room, effects, _ = moderation.silence(room, BACKEND, 0.0, "adam")
    assert effects == (ApplyGrant("adam"), PublishSeats())
    adam = room_state.actor_of(room, "adam")
    assert refused(lambda: command_seats(room, adam, TakeSeat(0), 0.0)) == 403
    asked, _, outcome = command_speakers(room, adam, RequestSeat("t"), 0.0)
    approve = ApproveRequest(read_int(outcome["request_id"]) or 0)
    assert refused(lambda: command_speakers(asked, HOST, approve, 0.0)) == 403
    invited, _, outcome = command_speakers(room, HOST, Invite("adam"), 0.0)
    accept = AcceptInvitation(read_int(outcome["invitation_id"]) or 0)
    assert refused(lambda: command_speakers(invited, adam, accept, 0.0)) == 403
    free, _, _ = moderation.unsilence(room, BACKEND, 0.0, "adam")
    assert free.seats.seated == frozenset(), "the seat stays lost"
    command_seats(free, adam, TakeSeat(0), 0.0)


def test_in_a_live_stream_even_the_host_can_be_silenced() -> None:
    room, effects, _ = moderation.silence(room_of(LIVE), BACKEND, 0.0, "sara")
    assert effects == (ApplyGrant("sara"),)
    assert room_state.grant_of(room, "sara") == LISTEN
    room, effects, _ = moderation.unsilence(room, BACKEND, 0.0, "sara")
    assert effects == (ApplyGrant("sara"),)
    assert room_state.grant_of(room, "sara") == STAR


def test_permissions_last_until_the_backends_next_mint() -> None:
    room, effects, reply = moderation.change_grant(
        room_of(), BACKEND, 0.0, "mona", {"can_publish_data": False}
    )
    assert effects == (ApplyGrant("mona"),)
    grant = Grant(can_publish_data=False)
    assert reply == {"identity": "mona", "permission": grant.to_wire()}
    assert room_state.grant_of(room, "mona") == grant
    assert room_state.grant_of(admit(room, "mona"), "mona") == grant
    assert room_state.grant_of(admit(room, "mona", proven=True), "mona") == LISTEN
    room, _, _ = moderation.change_grant(room, BACKEND, 0.0, "mona", {"can_subscribe": False})
    assert room_state.grant_of(room, "mona") == Grant(can_subscribe=False, can_publish_data=False)


def test_in_an_audio_room_no_permission_replaces_a_seat() -> None:
    room = room_of()
    change = {"can_publish": True}
    assert refused(lambda: moderation.change_grant(room, BACKEND, 0.0, "mona", change)) == 409
    moderation.change_grant(room, BACKEND, 0.0, "mona", {"can_publish": False})
    assert refused(lambda: moderation.change_grant(room, BACKEND, 0.0, "nobody", change)) == 404


def test_in_a_live_stream_a_backend_lets_publish_from_named_sources() -> None:
    change = {"can_publish": True, "sources": (TrackSource.SCREEN_SHARE,)}
    room, _, _ = moderation.change_grant(room_of(LIVE), BACKEND, 0.0, "mona", change)
    assert room_state.grant_of(room, "mona") == Grant(
        can_publish=True, sources=(TrackSource.SCREEN_SHARE,)
    )
    silent, _, _ = moderation.change_grant(room, BACKEND, 0.0, "mona", {"can_publish": False})
    assert room_state.grant_of(silent, "mona") == LISTEN
    no = {"can_publish": False}
    assert refused(lambda: moderation.change_grant(room, BACKEND, 0.0, "sara", no)) == 409
