"""What docs/livekit-rtc.md puts beside a member of `livekit.rtc` is there, and so is the member."""

from __future__ import annotations

import inspect
import re

import pytest
from livekit import rtc

import utd_rx
from tests.support.pages import ROOT
from utd_rx.models import events
from utd_rx.models.participant import RemoteParticipant, TrackPublication

PAGE = (ROOT / "docs" / "livekit-rtc.md").read_text()
ROWS = re.findall(r"^\| (?!`livekit.rtc`|---)(.*?) \| (.*) \|$", PAGE, re.MULTILINE)
THEIRS = (
    *(rtc.Room, rtc.LocalParticipant, rtc.RemoteTrackPublication, rtc.LocalAudioTrack),
    *(rtc.AudioSource, rtc.participant, rtc, rtc.KeyProvider),
)
OURS = (
    *(utd_rx.RoomSession, utd_rx, events, RemoteParticipant, TrackPublication),
    *(utd_rx.IncomingText, utd_rx.IncomingFile, utd_rx.AudioFrame, utd_rx.VideoFrame),
)
OPTIONS = {"auto_subscribe", "dynacast", "adaptive_stream", "code"}
CALLED = re.compile(r"`(\w+)\(([^`)]+)\)`")
NAMED = re.compile(r"`(\w+)(?:\((.*?)\))?")


def test_the_thirty_most_used_members_are_there() -> None:
    assert len({theirs for theirs, _ in ROWS}) == len(ROWS) >= 30


@pytest.mark.parametrize(("theirs", "ours"), ROWS, ids=[theirs for theirs, _ in ROWS])
def test_both_sides_exist(theirs: str, ours: str) -> None:
    for name, given in NAMED.findall(theirs):
        if name == "on":
            assert given.strip('"') in rtc.room.EventTypes.__args__  # type: ignore[attr-defined] # of a Literal
        else:
            is_option = name in rtc.RoomOptions.__dataclass_fields__
            assert is_option or any(hasattr(one, name) for one in THEIRS), name
    for name, given in NAMED.findall(ours):
        found = any(
            hasattr(one, name) or name in getattr(one, "__annotations__", ()) for one in OURS
        )
        assert found or name in OPTIONS or name.isupper() or name in ("async", "session"), name
        if name == "on":
            assert hasattr(events, given)


@pytest.mark.parametrize(("theirs", "ours"), ROWS, ids=[theirs for theirs, _ in ROWS])
def test_what_is_called_the_same_is_the_same(theirs: str, ours: str) -> None:
    """Where we have a name of theirs it is in the row, and a type of events is that event's."""
    names = {name for name, _ in NAMED.findall(ours)}
    for name, given in NAMED.findall(theirs):
        event = "".join(word.title() for word in given.strip('"').split("_"))
        if name != "on":
            is_ours = hasattr(utd_rx.RoomSession, name) or hasattr(utd_rx, name)
            assert name in names or not is_ours
        elif "on" in names and hasattr(events, event):
            assert f"`on({event})`" in ours


@pytest.mark.parametrize(
    ("name", "given"),
    [call for _, ours in ROWS for call in CALLED.findall(ours) if call[0] != "on"],
)
def test_what_a_call_is_given_are_parameters_of_it(name: str, given: str) -> None:
    function = next(getattr(one, name) for one in OURS if hasattr(one, name))
    parameters = [one for one in inspect.signature(function).parameters if one != "self"]
    for place, argument in enumerate(given.split(", ")):
        word, is_named, _ = argument.partition("=")
        if is_named:
            assert word in parameters
        elif word not in ("…", "True", "False"):
            assert parameters[place] == word
