"""Where rooms and devices live is asked for, or found; why not is said once."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

import pytest

from utd_rx import AudioFormat, Camera, Microphone, MicrophoneInput, Speaker, ToneSource
from utd_rx.errors import UTDErrorCode, UTDStreamException
from utd_rx.media import choice
from utd_rx.media.choice import VARIABLE, chosen, is_apart, why_not
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
    for _ in range(2):
        assert not is_apart("auto", has_device=True)
    said = [record.getMessage() for record in caplog.records if words in record.getMessage()]
    assert len(said) <= 1  # the word of an earlier case may be the same
    with pytest.raises(UTDStreamException, match=words) as refused:
        is_apart("process", has_device=False)
    assert refused.value.code is UTDErrorCode.FEATURE_DISABLED


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
