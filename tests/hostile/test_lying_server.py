"""A media server that lies: what comes of each lie, and that nobody else suffers of it."""

from __future__ import annotations

import asyncio
import time
from typing import Final
from urllib.parse import quote

import pytest

from tests.hostile.engine_fuzz import KEY, token
from tests.hostile.lies import NOTHING, Lie, liar
from tests.hostile.pair import Pair, pair
from tests.hostile.server_lies import LIES, Comes, Tell
from tests.hostile.victim import comes_of, meet, victims
from tests.support.sfu import SfuKind

AT_ONCE: Final = 6
"""Lies that are told at a time, each to a client of its own."""

_ELSEWHERE: Final = (Comes.ABORTS, Comes.LATE)
"""What is met in another process: it ends that, or takes as long as an app lets it."""

FOR_BOTH: Final = ("nothing", "noise", "somebody of another release", "a hundred sections")


def is_told_here(lie: Lie[Tell, Comes]) -> bool:
    """Say whether a lie is met in this process."""
    return lie.comes not in _ELSEWHERE and not lie.is_apart


async def meet_here(server: str, lies: list[Lie[Tell, Comes]], two: Pair) -> None:
    """Meet lies in this process, where the pair is."""
    begun = time.monotonic()
    each = await asyncio.gather(
        *(meet(f"{server}/{quote(lie.name)}", token("victim", lie.name)) for lie in lies)
    )
    for lie, met in zip(lies, each, strict=True):
        assert comes_of(met) is lie.comes, (lie.name, met)
        assert met.message.isprintable()
    two.since(begun).check(NOTHING, ", ".join(lie.name for lie in lies))


async def meet_elsewhere(server: str, lies: list[Lie[Tell, Comes]], two: Pair) -> None:
    """Meet lies in another process, one after another."""
    async with victims() as others:
        begun = time.monotonic()
        for lie in lies:
            met = await others.meet(f"{server}/{quote(lie.name)}", token("victim", lie.name))
            assert comes_of(met) is lie.comes, (lie.name, met)
        two.since(begun).check(NOTHING, "clients elsewhere")


@pytest.mark.realtime
@pytest.mark.timeout(120)
async def test_each_lie_comes_to_what_its_row_says_and_a_pair_beside_it_suffers_nothing() -> None:
    told = {"kind": "embedded", **KEY}
    here = [lie for lie in LIES if is_told_here(lie)]
    async with (
        liar("tests.hostile.lying_server", **told) as server,
        pair(server.ready["honest"], token) as two,
    ):
        lying = server.ready["lying"]
        for first in range(0, len(here), AT_ONCE):
            await meet_here(lying, here[first : first + AT_ONCE], two)
        await meet_elsewhere(lying, [lie for lie in LIES if not is_told_here(lie)], two)
        assert all(lie.pair == NOTHING for lie in LIES)


@pytest.mark.realtime
async def test_some_are_told_on_either_media_server(sfu_kind: SfuKind) -> None:
    told = {"kind": sfu_kind, **KEY}
    async with (
        liar("tests.hostile.lying_server", **told) as server,
        pair(server.ready["honest"], token) as two,
    ):
        some = [lie for lie in LIES if lie.name in FOR_BOTH]
        assert len(some) == len(FOR_BOTH)
        await meet_here(server.ready["lying"], [lie for lie in some if is_told_here(lie)], two)
        await meet_elsewhere(
            server.ready["lying"], [lie for lie in some if not is_told_here(lie)], two
        )
