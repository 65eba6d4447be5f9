"""An engine that lies: what comes of each lie, and that nobody else suffers of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.hostile.deceived import client, meet
from tests.hostile.engine_fuzz import KEY, token
from tests.hostile.engine_lies import LIES, Comes, Tell
from tests.hostile.lies import NOTHING, Liar, Lie, liar
from tests.hostile.pair import pair
from tests.support.descriptors import few_descriptors
from utd_rx import UTDConnectionState, UTDErrorCode, UTDStreamException

pytestmark = pytest.mark.long

AT_ONCE: Final = 8
"""Lies that are told at a time, each to a client of its own."""


@pytest.fixture
async def engine() -> AsyncIterator[Liar]:
    async with liar("tests.hostile.lying_engine", **KEY) as lying:
        yield lying


async def meet_all(engine: Liar, lies: list[Lie[Tell, Comes]]) -> None:
    await asyncio.gather(*(meet(engine, lie, f"room-{LIES.index(lie)}") for lie in lies))


async def test_each_lie_comes_to_what_its_row_says_and_an_honest_session_goes_on(
    engine: Liar,
) -> None:
    async with client(engine, engine.ready["base_url"]) as honest:
        session = await honest.join_audio_room("ann", "elsewhere", as_host=True, seat_count=2)
        states: list[UTDConnectionState] = []
        session.connection_state.subscribe(states.append)
        for first in range(0, len(LIES), AT_ONCE):
            await meet_all(engine, list(LIES[first : first + AT_ONCE]))
        await session.lock_seat(1)
        assert states == [UTDConnectionState.CONNECTED]
        await session.leave()


@pytest.mark.realtime
async def test_a_pair_in_the_same_process_suffers_nothing(engine: Liar) -> None:
    async with pair(engine.ready["media"], token) as two:
        begun = time.monotonic()
        for first in range(0, len(LIES), AT_ONCE):
            await meet_all(engine, list(LIES[first : first + AT_ONCE]))
        assert all(lie.pair == NOTHING for lie in LIES)
        (await two.since(begun)).check(NOTHING, "the lies of an engine")


async def test_who_had_no_descriptors_left_is_told_so_and_joins_later(engine: Liar) -> None:
    async with client(engine, engine.ready["base_url"]) as starved:
        for left in (0, 8):  # none for the engine, and too few for the media server
            session = starved.audio_room("victim", f"left-{left}", as_host=True, seat_count=2)
            async with session:
                with few_descriptors(left), pytest.raises(UTDStreamException) as caught:
                    await session.join()
                assert caught.value.code is UTDErrorCode.NETWORK
                assert session.failure.value is not None
                await session.join()
                assert session.connection_state.value is UTDConnectionState.CONNECTED
