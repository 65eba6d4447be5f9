"""Lies of a participant by chance, each with a seed of its own, beside a pair of strangers."""

from __future__ import annotations

import time
from functools import partial
from random import Random

from tests.engine.sfu.clients import token
from tests.hostile.judging import MANY, Found, Judge, said
from tests.hostile.lies import Lie
from tests.hostile.pair import Pair, pair
from tests.hostile.participant_lies import LIES, Comes, Mallory, Tell, mallory, wrong
from tests.hostile.turns import Turns, turns
from tests.support.sfu import running_sfu
from utd_rx.testing.witness import Witness


async def fuzz(random: Random, seconds: float) -> list[str]:
    """Lie for so long, and return what was wrong, with the seeds that show it again."""
    until = time.monotonic() + seconds
    found: list[str] = []
    async with running_sfu("embedded") as sfu:

        def access(identity: str, room: str) -> str:
            return token(sfu, identity, room)

        with Witness() as witness:
            async with (
                pair(sfu.url, partial(access, room="beside")) as beside,
                mallory(sfu.url, partial(access, room="hostile")) as liar,
                turns() as loop,
            ):
                judge = Judge(witness, beside.settle, MANY)
                while time.monotonic() < until:
                    lie, seed = random.choice(LIES), random.randrange(2**32)
                    seconds = random.uniform(0.1, 2.0)
                    tell = partial(hear, lie, seed, seconds, beside=beside, loop=loop, liar=liar)
                    found += [f"{one} (seed {seed})" for one in await judge.ask(tell)]
    print(f"participant: {judge.asked} lies, beside {judge.unjudged} the machine was busy")
    return found


async def hear(
    lie: Lie[Tell, Comes],
    seed: int,
    seconds: float,
    *,
    beside: Pair,
    loop: Turns,
    liar: Mallory,
    is_ours: bool = True,
) -> Found:
    """Have a lie told for so long; what was wrong with its teller, where the media server is ours,
    and with who heard it."""
    begun = time.monotonic()
    told = await liar.tell(lie.name, seed, seconds)
    found, late = wrong(lie, told) if is_ours else ([], [])
    late += said(partial(loop.check, lie.name))
    late += said(partial((await beside.since(begun)).check, lie.pair, lie.name))
    return found, late
