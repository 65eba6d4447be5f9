"""A media server that lies: what comes of each lie, and that nobody else suffers of it."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Final
from urllib.parse import quote

import pytest

from tests.hostile.engine_fuzz import KEY, token
from tests.hostile.judging import Found, Judge, said
from tests.hostile.lies import NOTHING, Lie, liar
from tests.hostile.pair import Pair, pair
from tests.hostile.server_lies import LIES, Comes, Tell
from tests.hostile.victim import Met, Victims, comes_of, meet, victims
from tests.support.sfu import SfuKind
from utd_rx import UTDErrorCode, open_room
from utd_rx.testing.witness import Witness

AT_ONCE: Final = 6
"""Lies that are told at a time, each to a client of its own."""

FOR_BOTH: Final = ("nothing", "noise", "somebody of another release", "a hundred sections")


def is_told_here(lie: Lie[Tell, Comes]) -> bool:
    """Say whether a lie is met in this process."""
    return lie.comes is not Comes.ABORTS and not lie.is_apart


async def meet_here(server: str, lies: list[Lie[Tell, Comes]], two: Pair) -> Found:
    """Meet lies in this process, where the pair is."""
    begun = time.monotonic()
    each = await asyncio.gather(
        *(meet(f"{server}/{quote(lie.name)}", token("victim", lie.name)) for lie in lies)
    )
    return await _found(lies, each, two, begun)


async def meet_elsewhere(server: str, lie: Lie[Tell, Comes], two: Pair, others: Victims) -> Found:
    """Meet a lie in another process."""
    begun = time.monotonic()
    met = await others.meet(f"{server}/{quote(lie.name)}", token("victim", lie.name))
    return await _found([lie], [met], two, begun)


async def _found(lies: list[Lie[Tell, Comes]], each: list[Met], two: Pair, begun: float) -> Found:
    beside, names = [], ", ".join(lie.name for lie in lies)
    for lie, met in zip(lies, each, strict=True):
        if comes_of(met) is not lie.comes:
            beside.append(f"{lie.name}: {met}")
    unfit = [lie.name for lie, met in zip(lies, each, strict=True) if not met.message.isprintable()]
    beside += said(partial((await two.since(begun)).check, NOTHING, names))
    return unfit, beside


async def meet_all(kind: SfuKind, lies: list[Lie[Tell, Comes]]) -> None:
    """Have each lie told, and fail where something else comes of it, or the pair suffers."""
    here = [lie for lie in lies if is_told_here(lie)]
    elsewhere = [lie for lie in lies if not is_told_here(lie)]
    with Witness() as witness:
        async with (
            liar("tests.hostile.lying_server", kind=kind, **KEY) as server,
            victims() as others,
            pair(server.ready["honest"], token) as two,
        ):
            judge, lying = Judge(witness, two.settle), server.ready["lying"]
            for first in range(0, len(here), AT_ONCE):
                await judge.ask(partial(meet_here, lying, here[first : first + AT_ONCE], two))
            for lie in elsewhere:
                await judge.ask(partial(meet_elsewhere, lying, lie, two, others))
    judge.check()


@pytest.mark.realtime(alone=True)
@pytest.mark.timeout(240)
async def test_each_lie_comes_to_what_its_row_says_and_a_pair_beside_it_suffers_nothing() -> None:
    assert all(lie.pair == NOTHING for lie in LIES)
    await meet_all("embedded", [*LIES])


@pytest.mark.realtime(alone=True)
async def test_some_are_told_on_either_media_server(sfu_kind: SfuKind) -> None:
    some = [lie for lie in LIES if lie.name in FOR_BOTH]
    assert len(some) == len(FOR_BOTH)
    await meet_all(sfu_kind, some)


@pytest.mark.realtime
async def test_who_is_sent_away_at_once_beside_a_room_that_is_joined_hears_why() -> None:
    async with (
        liar("tests.hostile.lying_server", kind="embedded", **KEY) as server,
        open_room(server.ready["honest"], token("calm", "calm")),
    ):
        lie = f"{server.ready['lying']}/{quote('sends away at once')}"
        met = await meet(lie, token("victim", "away"))
        assert (met.code, met.seconds < 5.0) == (UTDErrorCode.CONFLICT.name, True), met
