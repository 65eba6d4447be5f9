"""On either SFU: what nobody looks at is not pulled, and else no more of it than is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve
from livekit import rtc

from tests.rtc.bench import PATIENCE, Ear, Frames, Party, Tone, eventually, token
from tests.rtc.pictures import looking
from tests.support.sfu import fresh_options
from utd_rx.engine.sfu.options import SfuOptions
from utd_rx.models import events as ev
from utd_rx.models.participant import TrackKind, TrackSource
from utd_rx.rtc.room import UTDRoom
from utd_rx.video import TestPattern

SMALL = TestPattern(320, 180, 30)
LARGE = TestPattern(960, 540, 15)  # in several sizes
A_WHILE = 0.15
"""Seconds in which some packets of a video come."""


@pytest.fixture
def sfu_options() -> SfuOptions:
    """By themselves SFUs let 5 s pass until a layer that nobody pulls is to be stopped."""
    return evolve(fresh_options(), dynacast_pause_delay=0.1)


class Show:
    """Ann, who is seen and heard, and Bob, who hears her: her sound says how time passes."""

    def __init__(self, ann: UTDRoom, bob: UTDRoom, ear: Ear) -> None:
        self.ann, self.bob, self.ear = ann, bob, ear
        self.sound = Frames()
        self.sid = ""

    @classmethod
    async def begin(
        cls, party: Party, pattern: TestPattern, *, adaptive_stream: bool = True
    ) -> Show:
        ann, _ = await party.join("ann")
        bob = await party.room(adaptive_stream=adaptive_stream)
        show = cls(ann, bob, Ear(bob))
        await bob.connect(party.sfu.url, token(party.sfu, "bob"))
        await ann.publish(Tone())
        await ann.publish(pattern, TrackSource.CAMERA)
        heard, seen = [await show.subscribed(kind) for kind in (TrackKind.AUDIO, TrackKind.VIDEO)]
        show.sid = seen
        await bob.hear(heard, show.sound.take)
        return show

    async def subscribed(self, kind: TrackKind) -> str:
        """Return the sid of Ann's track of a kind, when Bob has it."""
        event = await self.ear.wait(ev.TrackSubscribed, lambda event: event.track.kind is kind)
        return event.track.sid

    async def received(self) -> int:
        """Return how many bytes of video Bob has received."""
        return await video_bytes(self.bob)

    async def sent(self) -> int:
        """Return how many Ann has sent."""
        return await video_bytes(self.ann)

    async def moves(self, count: Callable[[], Awaitable[int]]) -> None:
        """Wait until something is counted."""
        async with asyncio.timeout(PATIENCE):
            while await self._rests(count):
                pass

    async def rests(self, count: Callable[[], Awaitable[int]]) -> int:
        """Wait until nothing is counted for two whiles in a row, since in one the machine may have
        been too busy to send; return the sum."""
        async with asyncio.timeout(PATIENCE):
            while not (await self._rests(count) and await self._rests(count)):
                pass
        return await count()

    async def _rests(self, count: Callable[[], Awaitable[int]]) -> bool:
        """Whether nothing is counted for a while, by the time at which sound came: what a stall
        held back comes at once, and says nothing of time."""
        before, enough = await count(), time.monotonic() + A_WHILE
        await self.sound.wait(lambda: any(one.at >= enough for one in self.sound.frames[-1:]))
        return await count() == before


async def video_bytes(room: UTDRoom) -> int:
    tracks = (await room.statistics()).tracks
    return sum(one.bytes for one in tracks if one.source is TrackSource.CAMERA)


async def test_a_video_is_pulled_while_somebody_looks_and_at_no_other_time(party: Party) -> None:
    show = await Show.begin(party, SMALL)
    await show.rests(show.received)
    async with looking(show.bob, show.sid) as eye:
        await eye.see(5)
        await show.moves(show.received)
    await show.rests(show.received)
    async with looking(show.bob, show.sid) as eye:
        await eye.see(5)
    assert eye.numbers == sorted(eye.numbers)


async def test_a_picture_is_as_large_as_whoever_wants_most(party: Party) -> None:
    show = await Show.begin(party, LARGE)
    async with looking(show.bob, show.sid, max_height=180) as eye:
        await eye.see_rows(180)
        async with looking(show.bob, show.sid) as other:
            await other.see_rows(540)
        await eye.see_rows(180)
        assert eye.numbers == sorted(eye.numbers)


async def test_it_stays_so_over_a_full_reconnect(party: Party) -> None:
    show = await Show.begin(party, SMALL)
    bob = show.bob
    await show.rests(show.received)
    assert bob.room is not None
    async with looking(bob, show.sid) as eye:
        await bob.room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
        await show.ear.wait(ev.Reconnected)
        await eye.see(3)
    await bob.room.simulate_scenario(rtc.SimulateScenarioKind.SIMULATE_FULL_RECONNECT)
    await eventually(lambda: len(show.ear.of(ev.Reconnected)) == 2)
    await show.rests(show.received)


async def test_without_adaptive_stream_all_is_pulled(party: Party) -> None:
    show = await Show.begin(party, SMALL, adaptive_stream=False)
    before = await show.received()
    await show.moves(show.received)
    assert await show.received() > before


async def test_what_nobody_pulls_is_not_even_encoded(party: Party) -> None:
    show = await Show.begin(party, SMALL)
    before = await show.rests(show.sent)
    async with looking(show.bob, show.sid) as eye:
        await eye.see(3)
        await show.moves(show.sent)
        assert await show.sent() > before
