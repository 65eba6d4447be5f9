"""An engine that lies: what comes of each lie, and that nobody else suffers of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

import pytest
from livekit import api

from tests.hostile.engine_lies import JOINS, LIES, Comes, Tell
from tests.hostile.lies import NOTHING, Liar, Lie, liar
from tests.hostile.pair import pair
from tests.support.descriptors import few_descriptors
from utd_rx import UTDConnectionState, UTDErrorCode, UTDStreamClient, UTDStreamException
from utd_rx.models.secrets import MAX_TEXT

KEY: Final = {"api_key": "key", "api_secret": "s" * 32}
AT_ONCE: Final = 8
"""Lies that are told at a time, each to a client of its own."""


@pytest.fixture
async def engine() -> AsyncIterator[Liar]:
    async with liar("tests.hostile.lying_engine", **KEY) as lying:
        yield lying


def client(engine: Liar, base_url: str) -> UTDStreamClient:
    told = engine.ready
    return UTDStreamClient(
        told["app_id"], told["app_key"], base_url=base_url, token_base_url=base_url
    )


async def meet(engine: Liar, lie: Lie[Tell, Comes]) -> None:
    """Join by an engine that tells a lie, and check what comes of it."""
    async with client(engine, f"{engine.ready['lying']}/{quote(lie.name)}") as deceived:
        room = f"room-{LIES.index(lie)}"
        session = deceived.audio_room("victim", room, as_host=True, seat_count=2)
        async with session:
            failure: UTDStreamException | None = None
            try:
                await session.join()
            except UTDStreamException as error:
                failure = error
            else:
                assert session.connection_state.value is UTDConnectionState.CONNECTED
    assert (JOINS if failure is None else failure.code.name) in lie.comes, (lie.name, failure)
    if failure is not None:
        assert failure.message.isprintable(), lie.name
        assert len(failure.message) < 2 * MAX_TEXT, lie.name
        assert engine.ready["app_key"] not in repr([failure, failure.__cause__]), lie.name


async def meet_all(engine: Liar, lies: list[Lie[Tell, Comes]]) -> None:
    await asyncio.gather(*(meet(engine, lie) for lie in lies))


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
    def token(identity: str) -> str:
        minted = api.AccessToken(*KEY.values()).with_identity(identity)
        return minted.with_grants(api.VideoGrants(room_join=True, room="pair")).to_jwt()

    async with pair(engine.ready["media"], token) as two:
        for first in range(0, len(LIES), AT_ONCE):
            some, begun = list(LIES[first : first + AT_ONCE]), time.monotonic()
            await meet_all(engine, some)
            two.since(begun).check(NOTHING, ", ".join(lie.name for lie in some))


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
