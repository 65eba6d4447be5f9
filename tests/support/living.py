"""LiveKit's own room under a session, for what only that can do or see."""

from __future__ import annotations

import os
from typing import Any, Final

import pytest
from livekit import rtc

from utd_rx.sessions.media_session import MediaSession

VARIABLE: Final = "UTD_RX_MEDIA"
"""Says where rooms live in a run of tests: `process` for all of them, by default in the tests'."""


def is_apart() -> bool:
    """Whether the rooms of this run live in processes of their own."""
    return os.environ.get(VARIABLE) == "process"


def raw_room(session: MediaSession[Any]) -> rtc.Room:
    """Return the room; where it lives in a process of its own the test is skipped."""
    if is_apart():
        pytest.skip("LiveKit's own room lives in the media process")
    room = getattr(session.room, "room", None)
    assert isinstance(room, rtc.Room)
    return room
