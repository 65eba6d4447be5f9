"""How sessions stand, drawn in a terminal of 50 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from utd_rx.cli.demo.journal import DemoJournal
from utd_rx.cli.demo.runner import STORIES
from utd_rx.cli.demo.view import draw
from utd_rx.cli.pictures import picture, typed
from utd_rx.testing import FakeWorld


def drawn(what: RenderableType, width: int = 50) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(what)
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def test_an_audio_room_shows_seats_levels_and_who_asks(utd_world: FakeWorld) -> None:
    host = utd_world.join_audio_room("hana", "friday", host=True, seats=4, seat_mode="request")
    guest = utd_world.join_audio_room("sami-with-a-long-name", "friday")
    utd_world.run(host.take_seat(0, microphone=False))
    utd_world.run(host.lock_seat(3))
    utd_world.run(guest.request_to_speak(microphone=False))
    utd_world.settle()
    text = drawn(picture(host, {"hana": -10.0}.get))
    for part in ("friday · connected · 2 here", "0 hana", "####.", "1 ·", "3 locked"):
        assert part in text
    assert "sami-with-a-long-name asks to speak" in text
    assert "hana, on seat 0, microphone off" in text
    utd_world.run(host.approve_speaker(host.pending_requests.value[0].id))
    utd_world.settle()
    assert "1 sami-with-a…" in drawn(picture(guest))


def test_a_room_without_seats_says_where_they_come_from(utd_world: FakeWorld) -> None:
    assert "--host" in drawn(picture(utd_world.join_audio_room("sami", "friday")))


def test_a_live_stream_shows_the_stage_and_hands(utd_world: FakeWorld) -> None:
    host = utd_world.live_stream("hana", "show")
    viewer = utd_world.join_live_stream("vera", "show")
    utd_world.run(viewer.request_stage())
    utd_world.settle()
    assert "vera raises a hand" in drawn(picture(host))
    assert "your hand is up" in drawn(picture(viewer))
    utd_world.run(host.stop_live())
    utd_world.settle()
    assert "the broadcast is over" in drawn(picture(viewer))


def test_a_call_shows_with_whom_and_how_it_stands(utd_world: FakeWorld) -> None:
    near, far = utd_world.call("anna", "ben")
    text = drawn(picture(near))
    assert "ben" in text.splitlines()[0]
    assert "active" in text
    utd_world.run(far.end())
    utd_world.settle()
    assert "ended, callee_hangup" in drawn(picture(near))


def test_what_is_typed_takes_the_place_of_the_keys() -> None:
    assert drawn(typed("", "hel", "q leaves")).splitlines()[-1] == "> hel"
    assert "q leaves" in drawn(typed("", "", "q leaves"))


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("width", [50, 120])
def test_a_demo_fits(name: str, width: int) -> None:
    story, journal = STORIES[name], DemoJournal()
    journal.say("x" * 100)
    text = drawn(draw(story, journal, width), width)
    for word in (*story.users, *story.columns):
        assert all(part in text for part in word.split())
