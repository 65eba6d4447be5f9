"""Lies of a participant by chance, each with a seed of its own, beside a pair of strangers."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from random import Random

from tests.engine.sfu.clients import token
from tests.hostile.judging import Found, judged, said
from tests.hostile.pair import PERIOD, Pair, pair
from tests.hostile.participant_lies import LIES, Mallory, mallory, wrong
from tests.hostile.turns import Turns, turns
from tests.support.sfu import running_sfu
from utd_rx.testing.witness import Witness


async def fuzz(random: Random, seconds: float) -> list[str]:
    """Lie for so long, and return what was wrong, with the seeds that show it again."""
    until = time.monotonic() + seconds
    found: list[str] = []
    told = unjudged = 0
    async with running_sfu("embedded") as sfu:

        def access(identity: str, room: str) -> str:
            return token(sfu, identity, room)

        with Witness() as witness:
            async with (
                pair(sfu.url, partial(access, room="beside")) as beside,
                mallory(sfu.url, partial(access, room="hostile")) as liar,
                turns() as loop,
            ):
                while time.monotonic() < until:
                    bad, is_judged = await _one(random, beside, loop, liar, witness)
                    found += bad
                    told += 1
                    unjudged += not is_judged
    print(f"participant: {told} lies, beside {unjudged} of them the machine stood still")
    return found


async def _one(
    random: Random, beside: Pair, loop: Turns, liar: Mallory, witness: Witness
) -> tuple[list[str], bool]:
    """Tell one lie; what was wrong, and whether the pair could be judged meanwhile."""
    lie, seed, seconds = random.choice(LIES), random.randrange(2**32), random.uniform(0.1, 2.0)

    async def tell() -> Found:
        begun = time.monotonic()
        found = wrong(lie, await liar.tell(lie.name, seed, seconds))
        await asyncio.sleep(2 * PERIOD)
        found += said(partial(loop.check, lie.name))
        return found, said(lambda: beside.since(begun).check(lie.pair, lie.name))

    found, is_judged = await judged(witness, tell)
    return [f"{one} (seed {seed})" for one in found], is_judged
