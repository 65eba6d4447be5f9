"""Where rooms and devices live is asked for, or found; why not is said once."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from utd_rx import AudioFormat, Camera, Microphone, MicrophoneInput, Speaker, ToneSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media import choice
from utd_rx.media.choice import VARIABLE, chosen, is_apart, why_not
from utd_rx.media.devices import bring
from utd_rx.media.house import house
from utd_rx.media.placed_rooms import PlacedRooms
from utd_rx.media.restoring_room import RestoringRoom
from utd_rx.rtc.room import UTDRoom


@pytest.mark.parametrize("wrong", ["thread", "", 1])
def test_what_there_is_not_is_refused(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UTDStreamException, match="media is one of inline, process, auto"):
        chosen(wrong)
    monkeypatch.setenv(VARIABLE, "elsewhere")
    with pytest.raises(UTDStreamException, match=VARIABLE):
        chosen(None)


def test_the_environment_says_what_no_argument_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "process")
    assert (chosen(None), chosen("inline")) == ("process", "inline")
    monkeypatch.setenv(VARIABLE, "")
    assert chosen(None) == "auto"
    monkeypatch.delenv(VARIABLE)
    assert chosen(None) == "auto"


def test_auto_is_apart_where_there_is_a_device() -> None:
    assert why_not() is None
    assert [is_apart(media, has_device=True) for media in ("inline", "process", "auto")] == [
        False,
        True,
        True,
    ]
    assert [is_apart(media, has_device=False) for media in ("process", "auto")] == [True, False]


@pytest.mark.parametrize(
    ("where", "what", "value", "words"),
    [
        (sys, "frozen", True, "frozen"),
        (sys, "platform", "emscripten", "starts no processes"),
        (sys, "executable", "/usr/bin/blender", "embedded"),
        (sys, "executable", None, "embedded"),
        (os, "memfd_create", None, "takes Linux"),
    ],
)
def test_why_there_can_be_none_is_said_once_or_raised(
    where: Any,
    what: str,
    value: object,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if value is None and what == "memfd_create":
        monkeypatch.delattr(where, what)
    else:
        monkeypatch.setattr(where, what, value, raising=False)
    caplog.set_level(logging.INFO, choice.__name__)
    choice.say_once.cache_clear()  # an earlier case may have the same words
    for _ in range(2):
        assert not is_apart("auto", has_device=True)
    said = [(record.levelname, words in record.getMessage()) for record in caplog.records]
    assert said == [("INFO", True)]
    with pytest.raises(UTDStreamException, match=words) as refused:
        is_apart("process", has_device=False)
    assert refused.value.code is UTDErrorCode.FEATURE_DISABLED


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Let no process be started, until this is undone."""
    with monkeypatch.context() as here:
        here.setattr(sys, "executable", "/nowhere/python")
        choice.say_once.cache_clear()
        yield here


async def test_where_the_first_start_fails_auto_is_inline_and_says_so_once(
    refusing: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    microphone, speaker = Microphone(media="auto"), Speaker(media="auto")
    rooms = PlacedRooms("auto")
    assert not bring(microphone.key)
    rooms.begin(microphone)
    assert isinstance(rooms.make(microphone), UTDRoom)
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [(level, "No such file" in words) for level, words in said] == [("WARNING", True)]
    refusing.undo()
    # All that may live anywhere is in one place.
    assert not bring(speaker.key)
    assert isinstance(rooms.make(microphone), UTDRoom)
    assert house().succession.current is None
    for device in (microphone, speaker):
        await device.aclose()


@pytest.mark.usefixtures("refusing")
async def test_where_the_first_start_fails_process_is_refused_with_the_reason() -> None:
    rooms, speaker = PlacedRooms("process"), Speaker(media="process")
    for ask in (rooms.begin, rooms.make):
        with pytest.raises(UTDStreamException, match="No such file") as refused:
            ask()
        assert refused.value.code is UTDErrorCode.FEATURE_DISABLED
    with pytest.raises(UTDStreamException, match="No such file"):
        await speaker.open()
    await speaker.aclose()


async def test_a_start_that_failed_holds_nothing(refusing: pytest.MonkeyPatch) -> None:
    rooms = PlacedRooms("process")
    with pytest.raises(UTDStreamException):
        rooms.begin()
    refusing.undo()
    rooms.begin()
    process = house().succession.current
    assert process is not None
    await rooms.aclose()
    assert house().succession.current is None


@pytest.mark.long
async def test_rooms_live_apart_where_a_device_is_about() -> None:
    rooms = PlacedRooms("auto")
    inline = rooms.make(ToneSource(), None)
    assert isinstance(inline, UTDRoom)
    for source in (MicrophoneInput(), Camera()):
        room = rooms.make(source)
        assert isinstance(room, RestoringRoom)
        await room.aclose()
    speaker = Speaker(media="auto")
    room = rooms.make(None)
    assert isinstance(room, RestoringRoom)
    await room.aclose()
    await speaker.aclose()
    assert isinstance(rooms.make(None), UTDRoom)
    assert isinstance(PlacedRooms("inline").make(MicrophoneInput()), UTDRoom)


async def test_a_microphone_without_a_port_of_its_own_says_where_it_lives() -> None:
    with pytest.raises(UTDStreamException, match="media is one of"):
        Microphone(media="there", format=AudioFormat())  # type: ignore[arg-type] # what is tested


ELSEWHERE = """
import asyncio, os, random  # which ask for it, too

for name in ("memfd_create", "eventfd", "pidfd_open", "register_at_fork"):
    delattr(os, name)
from utd_rx import Microphone, UTDErrorCode, UTDStreamClient, UTDStreamException
print(UTDStreamClient("app", "key", microphone=Microphone(), media="auto"))
try:
    UTDStreamClient("app", "key", media="process")
except UTDStreamException as error:
    print(error)
"""


def test_where_there_is_no_linux_all_is_inline() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert "UTDStreamClient" in done.stdout
    assert 'it takes Linux, and this is linux; pass media="inline"' in done.stdout
