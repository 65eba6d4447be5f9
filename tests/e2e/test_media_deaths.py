"""A media process that dies in a room: the others hear its successor, and the app loses nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any, Final

import pytest

from tests.rtc.bench import PATIENCE, token
from tests.support.sfu import RunningSfu
from utd_rx import RoomSession, ToneSource, UTDConnectionState, open_room
from utd_rx.media.house import house
from utd_rx.media.process import SILENCE
from utd_rx.models import events as ev
from utd_rx.models.audio import AudioFrame

EMBEDDED = pytest.mark.parametrize(
    "sfu_kind", [pytest.param("embedded", marks=pytest.mark.embedded)]
)

SILENT: Final = 1.5
"""Seconds for which the others may hear nothing, once a process is known to be dead."""


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


@pytest.mark.long
async def test_a_process_that_is_killed_is_replaced_and_heard_again(
    pair: tuple[RoomSession, RoomSession],
) -> None:
    await outlive(pair, signal.SIGKILL)
    anna, _ = pair
    assert (await anna.statistics()).media.deaths == 1


@pytest.mark.long
@EMBEDDED
@pytest.mark.parametrize(
    "how", [signal.SIGTERM, signal.SIGABRT, signal.SIGSTOP], ids=lambda how: how.name
)
async def test_so_is_one_that_ends_otherwise_or_stands_still(
    pair: tuple[RoomSession, RoomSession], how: signal.Signals
) -> None:
    await outlive(pair, how)
    anna, _ = pair
    assert (await anna.statistics()).media.deaths == 1


@pytest.mark.realtime
@EMBEDDED
@pytest.mark.parametrize(
    ("how", "noticed"),
    [
        pytest.param(signal.SIGKILL, 0.0, id="SIGKILL"),
        pytest.param(signal.SIGTERM, 0.0, id="SIGTERM"),
        pytest.param(signal.SIGABRT, 0.0, id="SIGABRT"),
        pytest.param(signal.SIGSTOP, SILENCE, id="SIGSTOP"),
    ],
)
async def test_however_it_ends_the_others_hear_its_successor_soon(
    pair: tuple[RoomSession, RoomSession], how: signal.Signals, noticed: float
) -> None:
    assert await outlive(pair, how) <= noticed + SILENT


async def outlive(pair: tuple[RoomSession, RoomSession], how: signal.Signals) -> float:
    """Let Anna's media process die, and see and hear that nothing is missing afterwards; return
    for how many seconds Ben heard nothing of her."""
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
    return silent


@pytest.mark.long
@EMBEDDED
async def test_who_begins_to_listen_as_it_dies_hears_its_successor(
    pair: tuple[RoomSession, RoomSession],
) -> None:
    anna, _ = pair
    await anna.remote_participants.until(
        lambda people: any(track.is_subscribed for who in people for track in who.tracks),
        timeout=PATIENCE,
    )
    pid = (await anna.statistics()).media.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # so that it is under way when it dies
    ear = Ear(anna, "ben")
    os.kill(pid, signal.SIGKILL)
    await ear.hears()
    assert house().succession.deaths == 1


@pytest.mark.realtime
@pytest.mark.parametrize("later", [0.0, 0.1, 0.3])
async def test_who_leaves_as_it_dies_is_gone_soon(sfu: RunningSfu, later: float) -> None:
    async with AsyncExitStack() as stack:
        ben = await stack.enter_async_context(open_room(sfu.url, token(sfu, "ben")))
        people = ben.remote_participants
        joining = open_room(sfu.url, token(sfu, "anna"), microphone=ToneSource(), media="process")
        async with joining as anna:
            await anna.set_microphone(True)
            await people.until(lambda who: [one.identity for one in who] == ["anna"])
            pid = (await anna.statistics()).media.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(later)
            began = time.monotonic()
        await people.until(lambda who: not who, timeout=PATIENCE)
        assert time.monotonic() - began <= 1.0


@pytest.mark.long
async def test_two_in_one_room_over_one_process_come_back_to_each_other(sfu: RunningSfu) -> None:
    async with AsyncExitStack() as stack:
        sessions, rosters = list[RoomSession](), list[tuple[str, ...]]()
        for name in ("anna", "ben"):
            joining = open_room(sfu.url, token(sfu, name), microphone=ToneSource(), media="process")
            sessions.append(await stack.enter_async_context(joining))
            await sessions[-1].set_microphone(True)
        for session in sessions:
            await session.remote_participants.until(lambda who: len(who) == 1, timeout=PATIENCE)
            session.remote_participants.subscribe(
                lambda who: rosters.append(tuple(one.identity for one in who))
            )
        pid = (await sessions[0].statistics()).media.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        for state in (UTDConnectionState.RECONNECTING, UTDConnectionState.CONNECTED):
            waiting = (one.connection_state.until(state, timeout=PATIENCE) for one in sessions)
            await asyncio.gather(*waiting)
        ears = [Ear(sessions[0], "ben"), Ear(sessions[1], "anna")]
        for ear in ears:
            await ear.hears()
        assert set(rosters) == {("anna",), ("ben",)}
