"""What happened, in words."""

from __future__ import annotations

from functools import partial

import pytest
from attrs import evolve

from utd_rx.engine.page.happenings import MAX_PEOPLE, in_room, posted
from utd_rx.engine.rules import room_state, seat_state, speakers, stage
from utd_rx.engine.rules.roles import Actor, Role
from utd_rx.engine.rules.room_state import Admission, RoomState, Session
from utd_rx.engine.rules.seat_state import SeatCommand, SetUpSeats
from utd_rx.models.frozen_map import FrozenMap
from utd_rx.models.seats import UTDSeatMode
from utd_rx.models.stream_type import UTDStreamType

HOST = Actor("sara", Role.HOST)


def admitted(room: RoomState, identity: str, role: Role = Role.AUDIENCE) -> RoomState:
    """`room` with somebody who minted and connected."""
    asked = Admission(identity, room.type, role)
    room, _, _ = room_state.admit(room, asked, serial=1, now=0.0)
    joined, _ = room_state.joined(room, Session(identity, f"PA_{identity}"), 0.0)
    return joined


def made(type_: UTDStreamType) -> RoomState:
    room = admitted(room_state.fresh("friday", type_, serial=1), "sara", Role.HOST)
    return admitted(room, "mona")


@pytest.fixture
def room() -> RoomState:
    room = made(UTDStreamType.AUDIO_ROOM)
    return seated(room, HOST, partial(seat_state.set_up, asked=SetUpSeats(4)))


@pytest.fixture
def show() -> RoomState:
    return made(UTDStreamType.LIVE_STREAM)


def seated(room: RoomState, actor: Actor, *items: SeatCommand) -> RoomState:
    for item in items:
        room, _, _ = room_state.command_seats(room, actor, 0.0, item)
    return room


def mona(room: RoomState) -> Actor:
    return room_state.actor_of(room, "mona")


def told(before: RoomState | None, after: RoomState | None) -> list[str]:
    return list(in_room(before, after))


def test_a_room_begins_with_all_that_is_in_it_and_ends(room: RoomState) -> None:
    assert told(None, room) == [
        *("the room begins, audio room", "sara is the host", "sara comes", "mona comes"),
        "there are 4 seats",
    ]
    assert told(room, None) == ["the room is over"]
    assert told(None, None) == told(room, room) == []


def test_people_come_go_and_come_anew(room: RoomState) -> None:
    gone, _ = room_state.left(room, Session("mona", "PA_mona"), 0.0, 0.0)
    assert told(room, gone) == ["mona goes"]
    back, _ = room_state.joined(room, Session("mona", "PA_2"), 0.0)
    assert told(room, back) == ["mona comes anew"]


def test_in_a_crowd_nobodys_coming_is_told(room: RoomState) -> None:
    crowd = FrozenMap({f"p{number}": "PA" for number in range(MAX_PEOPLE + 1)})
    assert told(room, evolve(room, sessions=crowd)) == []


def test_seats(room: RoomState) -> None:
    sits = seated(room, mona(room), partial(seat_state.take, index=2))
    assert told(room, sits) == ["mona sits down on seat 2"]
    moved = seated(sits, mona(room), partial(seat_state.move, index=3))
    assert told(sits, moved) == ["mona moves to seat 3"]
    muted = seated(moved, HOST, partial(seat_state.mute, index=3, is_muted=True))
    assert (told(moved, muted), told(muted, moved)) == (["mona is muted"], ["mona is unmuted"])
    locked = seated(moved, HOST, partial(seat_state.lock, index=3))
    assert told(moved, locked) == ["seat 3 is locked", "mona leaves seat 3"]
    open_ = seated(locked, HOST, partial(seat_state.unlock, index=3))
    assert told(locked, open_) == ["seat 3 is unlocked"]


def test_who_asks_to_speak(room: RoomState) -> None:
    by_request = SetUpSeats(6, UTDSeatMode.REQUEST)
    asked_for = seated(room, HOST, partial(seat_state.set_up, asked=by_request))
    assert told(room, asked_for) == ["there are 6 seats", "seats are by request"]
    asks = seated(asked_for, mona(room), partial(speakers.request, created_at="now"))
    assert told(asked_for, asks) == ["mona asks to speak"]
    assert told(asks, asked_for) == ["mona asks no longer"]
    (request,) = asks.seats.grid.requests
    yes = seated(asks, HOST, partial(speakers.approve, id_=request.id))
    assert told(asks, yes) == ["mona sits down on seat 0"]


def test_a_broadcast(show: RoomState) -> None:
    live, _ = room_state.published(show, "sara", 0.0)
    assert told(show, live) == ["the broadcast begins"]
    raised, _, _ = stage.raise_hand(live, mona(show), 0.0, created_at="now")
    assert told(live, raised) == ["mona raises a hand"]
    assert told(raised, live) == ["the hand of mona is down"]
    added, _, _ = stage.add(raised, HOST, 0.0, target="mona")
    assert told(raised, added) == ["mona comes on the stage"]
    assert told(added, raised)[0] == "mona leaves the stage"
    over, _, _ = stage.end(added, HOST, 0.0)
    assert told(added, over) == ["the broadcast is over", "mona leaves the stage"]


def test_roles_chat_and_who_may_not_publish(room: RoomState) -> None:
    roles = evolve(room, roles=room.roles.set("mona", Role.ADMIN))
    assert told(room, roles) == ["mona becomes admin"]
    silenced = evolve(room, silenced=frozenset({"mona"}))
    assert told(room, silenced) == ["mona may not publish"]
    assert told(silenced, room) == ["mona may publish"]
    locked = evolve(room, are_comments_locked=True)
    assert (told(room, locked), told(locked, room)) == (
        ["the chat is locked"],
        ["the chat is open"],
    )


def test_what_a_backend_is_told() -> None:
    call = {"caller_identity": "sara", "callee_identity": "{mona}"}
    assert posted("call_initiated", {"call": call}) == ("calls", "sara calls {mona}")
    track = {"room": {"name": "friday"}, "participant": {"identity": "sara"}, "track": {"type": 1}}
    assert posted("track_published", track) == ("friday", "sara publishes video")
    assert posted("user_online", {"participant": {"identity": "sara"}}) == (
        "",
        "sara can be called",
    )
    assert posted("participant_joined", track) is None  # the room's own state tells it
