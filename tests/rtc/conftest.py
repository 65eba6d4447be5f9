"""Fixtures of the room's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.rtc.bench import Party, subscribers
from tests.support.sfu import RunningSfu
from utd_rx.rtc import streams


@pytest.fixture
async def party(sfu: RunningSfu) -> AsyncIterator[Party]:
    """Rooms on the SFU under test, all left at the end, with nothing of theirs left behind."""
    open_streams = streams.exchange().open_streams
    listening = subscribers()
    async with Party(sfu) as party:
        yield party
    assert streams.exchange().open_streams == open_streams
    assert subscribers() == listening
