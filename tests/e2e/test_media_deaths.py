"""A media process that dies in a room: the others hear its successor, and the app loses nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import pytest

from tests.rtc.bench import PATIENCE, token
from tests.support.sfu import RunningSfu
from utd_rx import RoomSession, ToneSource, UTDConnectionState, open_room
from utd_rx.media.house import house
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame

pytestmark = pytest.mark.long


@pytest.fixture
async def pair(sfu: RunningSfu) -> AsyncIterator[tuple[RoomSession, RoomSession]]:
    """Anna, whose room lives in a media process, and Ben, whose does not; both make a tone."""
    async with AsyncExitStack() as stack:
        join = stack.enter_async_context
        anna = await join(
            open_room(sfu.url, token(sfu, "anna"), microphone=ToneSource(), media="process")
        )
        ben = await join(
            open_room(sfu.url, token(sfu, "ben"), microphone=ToneSource(), media="inline")
        )
        await anna.set_microphone(True)
        await ben.set_microphone(True)
        yield anna, ben


class Ear:
    """When each frame of somebody came that was no silence."""

    def __init__(self, session: RoomSession, identity: str) -> None:
        self.at: list[float] = []
        self.news = asyncio.Event()
        session.audio(identity).subscribe(self._take)

    def _take(self, frame: AudioFrame) -> None:
        if abs(frame.samples.astype(int)).max() > 500:
            self.at.append(time.monotonic())
            self.news.set()

    async def hears(self) -> float:
        """Wait for something from now on; return the seconds it took."""
        began, count = time.monotonic(), len(self.at)
        async with asyncio.timeout(PATIENCE):
            while len(self.at) < count + 3:
                self.news.clear()
                await self.news.wait()
        return time.monotonic() - began


@pytest.mark.parametrize(
    "how",
    [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT, signal.SIGSTOP],
    ids=lambda how: how.name,
)
async def test_a_process_that_dies_is_replaced_and_heard_again(
    pair: tuple[RoomSession, RoomSession], how: signal.Signals
) -> None:
    anna, ben = pair
    bens, annas = Ear(ben, "anna"), Ear(anna, "ben")
    await bens.hears()
    await annas.hears()
    rosters: list[Any] = []
    anna.remote_participants.subscribe(rosters.append)
    events: list[ev.RoomEvent] = []
    anna.events.subscribe(events.append)
    left: list[str] = []
    gone = asyncio.Event()

    def mind(event: ev.RoomEvent) -> None:
        if isinstance(event, ev.ParticipantDisconnected):
            left.append(event.identity)
            gone.set()

    ben.events.subscribe(mind)
    before = (await anna.statistics()).media.pid
    assert before is not None
    began = time.monotonic()
    os.kill(before, how)
    await asyncio.wait_for(gone.wait(), PATIENCE)  # who stands still is given up after 5 s
    await bens.hears()
    await annas.hears()
    silent = max(later - at for at, later in pairwise((began, *bens.at)) if later > began)
    print(f"{how.name}: silent for {silent:.2f} s")
    await anna.connection_state.until(UTDConnectionState.CONNECTED, timeout=PATIENCE)
    assert all([who.identity for who in roster] == ["ben"] for roster in rosters)
    assert anna.microphone_enabled.value
    told = [type(event) for event in events]
    assert told.count(ev.Reconnecting) == told.count(ev.Reconnected) == 1
    assert left == ["anna"]
    now = (await anna.statistics()).media
    assert (now.deaths, now.pid != before) == (1, True)
    assert house().succession.deaths == 1
    await ben.send_data(b"x")
