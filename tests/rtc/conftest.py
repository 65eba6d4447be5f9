"""Fixtures of the room's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.rtc.bench import Party
from tests.support.sfu import RunningSfu
from utd_rx.rtc import ffi


@pytest.fixture
async def party(sfu: RunningSfu) -> AsyncIterator[Party]:
    """Rooms on the SFU under test, all left at the end, with nothing of theirs left behind."""
    from livekit.rtc._ffi_client import FfiClient

    streams = ffi.frame_tap().open_streams
    subscribers = len(FfiClient.instance.queue._subscribers)
    async with Party(sfu) as party:
        yield party
    assert ffi.frame_tap().open_streams == streams
    assert len(FfiClient.instance.queue._subscribers) == subscribers
