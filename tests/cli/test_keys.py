"""What keys do in rooms, live streams and calls."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from utd_rx import UTDCallStatus
from utd_rx.cli import call, join, live
from utd_rx.cli.cockpit import Command
from utd_rx.testing import FakeWorld


class Keyboard:
    """Presses keys in a world."""

    def __init__(self, world: FakeWorld, keys: Mapping[str, Command]) -> None:
        self._world = world
        self._keys = keys

    def press(self, keys: str) -> None:
        for key in keys:
            self._world.run(self._keys[key]())
        self._world.settle()


@pytest.fixture
def world(utd_world: FakeWorld) -> FakeWorld:
    return utd_world


def test_a_digit_sits_down_or_moves_and_l_stands_up(world: FakeWorld) -> None:
    room = world.join_audio_room("hana", "friday", host=True, microphone=world.microphone("hana"))
    keys = Keyboard(world, join.keys(room, speaks=True))
    seats = []
    for key in "25l":
        keys.press(key)
        seats.append(room.my_seat.value and room.my_seat.value.index)
    assert seats == [2, 5, None]
    keys.press("1")
    assert room.microphone_enabled.value
    keys.press("m")
    assert not room.microphone_enabled.value


def test_who_asks_is_answered(world: FakeWorld) -> None:
    host = world.join_audio_room("hana", "friday", host=True, seat_mode="request")
    guest = world.join_audio_room("sami", "friday")
    hosts = Keyboard(world, join.keys(host, speaks=False))
    guests = Keyboard(world, join.keys(guest, speaks=False))
    hosts.press("ax")  # nobody asks: nothing
    guests.press("r")
    assert [one.identity for one in host.pending_requests.value] == ["sami"]
    guests.press("r")
    assert host.pending_requests.value == ()
    guests.press("r")
    hosts.press("x")
    guests.press("r")
    hosts.press("a")
    assert guest.my_seat.value is not None


def test_an_invitation_is_answered(world: FakeWorld) -> None:
    host = world.join_audio_room("hana", "friday", host=True)
    guest = world.join_audio_room("sami", "friday")
    keys = Keyboard(world, join.keys(guest, speaks=False))
    for key, is_seated in (("n", False), ("y", True)):
        world.run(host.invite_to_speak("sami"))
        world.settle()
        keys.press(key)
        assert guest.invitations.value == ()
        assert (guest.my_seat.value is not None) == is_seated


def test_a_hand_brings_a_viewer_on_the_stage_and_s_off_it(world: FakeWorld) -> None:
    host = world.join_live_stream("hana", "show", host=True)
    viewer = world.join_live_stream("vera", "show")
    hosts, viewers = Keyboard(world, live.keys(host)), Keyboard(world, live.keys(viewer))
    hosts.press("g")
    assert host.camera_enabled.value
    viewers.press("hh")
    assert host.stage_requests.value == ()
    viewers.press("h")
    hosts.press("x")
    assert not viewer.hand_raised.value
    viewers.press("h")
    hosts.press("a")
    viewers.press("c")
    assert viewer.camera_enabled.value
    viewers.press("s")
    assert [one.identity for one in host.stage.value] == ["hana"]
    hosts.press("g")
    assert viewer.live_ended.value


def test_a_call_is_answered_declined_and_ended(world: FakeWorld) -> None:
    near, far = world.call("anna", "ben", answer=False)
    keys = Keyboard(world, call.keys(world.client("ben"), far))
    stands = []
    for pressed in "ae":
        keys.press(pressed)
        stands.append(near.status.value)
    world.run(near.start("ben"))
    world.settle()
    keys.press("x")
    stands.append(near.status.value)
    assert stands == [UTDCallStatus.ACTIVE, UTDCallStatus.ENDED, UTDCallStatus.REJECTED]
