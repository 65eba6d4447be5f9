"""Data tracks on both SFUs, between a session and a client that is LiveKit's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from livekit import rtc
from reactivex import operators as ops

from tests.e2e.bare import Pair, meeting
from tests.rtc.bench import PATIENCE
from tests.support.sfu import RunningSfu
from tests.support.simulator import simulate
from utd_rx import DataTrackFrame, PublishedDataTrack
from utd_rx.models.events import Reconnected

FRAME = DataTrackFrame(b"frame", 7)


@pytest.fixture
async def pair(sfu: RunningSfu) -> AsyncIterator[Pair]:
    async with meeting(sfu) as pair:
        yield pair


def tracks_told(room: rtc.Room) -> asyncio.Queue[rtc.RemoteDataTrack]:
    told = asyncio.Queue[rtc.RemoteDataTrack]()
    room.on("data_track_published", told.put_nowait)
    return told


async def pushed_until(push: Callable[[], object], is_there: asyncio.Future[Any]) -> None:
    """Push again and again: what is pushed before it is known who reads is lost."""
    while not is_there.done():
        result = push()
        if asyncio.iscoroutine(result):
            await result
        await asyncio.wait([is_there], timeout=0.01)


async def received(stream: rtc.DataTrackStream, track: PublishedDataTrack) -> rtc.DataTrackFrame:
    coming = asyncio.ensure_future(anext(aiter(stream)))
    await pushed_until(lambda: track.push(FRAME.payload, user_timestamp=7), coming)
    return coming.result()


async def test_frames_of_a_bare_client_and_to_it_also_after_full_reconnects(pair: Pair) -> None:
    told, scenario = tracks_told(pair.ben), rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT
    come = asyncio.Queue[DataTrackFrame]()
    pair.ana.data_track("ben", "pose").subscribe(come.put_nowait)
    async with asyncio.timeout(PATIENCE):
        numbers = await pair.ana.publish_data_track("numbers")
        remote = await told.get()
        assert (remote.publisher_identity, remote.info.name) == ("ana", "numbers")
        frame = await received(remote.subscribe(), numbers)
        assert (frame.payload, frame.user_timestamp) == (b"frame", 7)

        pose = await pair.ben.local_participant.publish_data_track(name="pose")

        async def hear() -> None:
            while not come.empty():
                come.get_nowait()
            coming = asyncio.ensure_future(come.get())
            await pushed_until(lambda: pose.try_push(rtc.DataTrackFrame(b"frame", 7)), coming)
            assert coming.result() == FRAME

        await hear()
        back = asyncio.ensure_future(pair.ana.on(Reconnected).pipe(ops.first()))
        await simulate(pair.ana, scenario)
        await back
        await hear()
        [ben] = pair.ana.remote_participants.value
        assert [track.name for track in ben.data_tracks] == ["pose"]
        frame = await received((await told.get()).subscribe(), numbers)
        assert frame.payload == b"frame"

        await pose.unpublish()
        await pair.ana.remote_participants.until(lambda who: not who[0].data_tracks)
