"""What docs/livekit-rtc.md puts beside a member of `livekit.rtc` is there, and so is the member."""

from __future__ import annotations

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
    *(utd_rx.IncomingText, utd_rx.IncomingFile),
)
OPTIONS = {"auto_subscribe", "dynacast", "adaptive_stream", "code"}
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
