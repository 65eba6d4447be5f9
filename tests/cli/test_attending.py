"""Being in a session with a terminal: a picture with levels, the chat above it, and a good end."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator

import pytest
from rich.console import Console

from utd_rx import UTDAudioRoomSession
from utd_rx.cli import join
from utd_rx.cli.attending import Attendance, status_of
from utd_rx.cli.display import LineDisplay, LiveDisplay, SessionDisplay
from utd_rx.cli.levels import Levels
from utd_rx.testing import FakeWorld


@pytest.fixture
def leaving(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Type `q`."""
    read, write = os.pipe()
    os.write(write, b"q\n")
    with os.fdopen(read) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield
    os.close(write)


def attended(world: FakeWorld, room: UTDAudioRoomSession, display: SessionDisplay) -> None:
    async def attend() -> None:
        await Attendance(
            room,
            display,
            join.keys(room, speaks=False),
            join.HINT,
            join.WATCHED,
            lambda: (one.identity for one in room.seats.value.seats),
        ).last()

    world.run(attend())


@pytest.fixture
def room(utd_world: FakeWorld) -> UTDAudioRoomSession:
    room = utd_world.join_audio_room("hana", "friday", host=True, seats=2)
    utd_world.run(room.take_seat(1, microphone=False))
    utd_world.run(room.chat.send("hi"))
    return room


def test_a_terminal_shows_the_chat_and_a_picture(
    utd_world: FakeWorld, room: UTDAudioRoomSession, leaving: None
) -> None:
    out = io.StringIO()
    attended(utd_world, room, LiveDisplay(Console(file=out, force_terminal=True, width=50)))
    shown = out.getvalue()
    assert "hana: hi\n" in shown
    assert "1 hana" in shown
    assert "hana, on seat 1, microphone off" in shown
    assert status_of(room, "join") == 0


def test_elsewhere_there_are_lines(
    utd_world: FakeWorld, room: UTDAudioRoomSession, leaving: None
) -> None:
    out = io.StringIO()
    attended(utd_world, room, LineDisplay(out))
    lines = out.getvalue().splitlines()
    assert {"hana: hi", "seats: ·, hana", "my_seat: 1"} <= set(lines)
    assert lines[0] == join.HINT


def test_who_is_lost_is_told_why(
    utd_world: FakeWorld, leaving: None, capsys: pytest.CaptureFixture[str]
) -> None:
    host = utd_world.join_audio_room("hana", "friday", host=True)
    guest = utd_world.join_audio_room("sami", "friday")
    utd_world.run(host.kick("sami"))
    utd_world.settle()
    attended(utd_world, guest, LineDisplay(io.StringIO()))
    assert status_of(guest, "join") == 1
    assert capsys.readouterr().err.startswith("utd-rx join: ")


def test_a_level_is_of_who_is_followed(utd_world: FakeWorld) -> None:
    speaker = utd_world.join_audio_room(
        "hana", "friday", host=True, microphone=utd_world.microphone("hana")
    )
    listener = utd_world.join_audio_room("sami", "friday")
    levels = Levels(listener)
    utd_world.run(speaker.take_seat(0))

    async def follow(*who: str | None) -> None:
        levels.follow(who)

    utd_world.run(follow("hana", "sami", None))
    assert levels.of("hana") is None
    utd_world.run(utd_world.microphone("hana").say(0.5))
    utd_world.settle()
    heard = levels.of("hana")
    assert heard is not None
    assert heard > -40.0
    utd_world.run(follow())
    assert levels.of("hana") is None
