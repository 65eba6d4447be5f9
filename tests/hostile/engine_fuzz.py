"""Lies of an engine by chance, each with a seed of its own, beside a pair in the same process."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from random import Random

from livekit import api

from tests.hostile.deceived import meet
from tests.hostile.engine_lies import Comes, Tell, by_chance
from tests.hostile.judging import MANY, Found, Judge, said
from tests.hostile.lies import Liar, Lie, liar
from tests.hostile.pair import Pair, pair
from utd_rx.testing.witness import Witness

KEY = {"api_key": "key", "api_secret": "s" * 32}
AT_ONCE = 4


def token(identity: str, room: str = "pair") -> str:
    """Return a token for the media server that a liar brings for the pair."""
    grants = api.VideoGrants(room_join=True, room=room)
    minted = api.AccessToken(*KEY.values()).with_identity(identity)
    return minted.with_grants(grants).to_jwt()


async def fuzz(random: Random, seconds: float) -> list[str]:
    """Lie for so long, and return what was wrong, with the seeds that show it again."""
    until = time.monotonic() + seconds
    told = 0
    with Witness() as witness:
        async with (
            liar("tests.hostile.lying_engine", **KEY) as engine,
            pair(engine.ready["media"], token) as beside,
        ):
            judge = Judge(witness, beside.settle, MANY)
            while time.monotonic() < until:
                lies = [by_chance(random.randrange(2**32)) for _ in range(AT_ONCE)]
                await judge.ask(partial(_tell, engine, beside, lies, told))
                told += len(lies)
    print(f"engine: {told} lies")
    return judge.found


async def _tell(engine: Liar, beside: Pair, lies: list[Lie[Tell, Comes]], told: int) -> Found:
    begun = time.monotonic()
    met = await asyncio.gather(
        *(meet(engine, lie, f"room-{told + n}") for n, lie in enumerate(lies)),
        return_exceptions=True,
    )
    found = [
        f"{lie.name}: {type(error).__name__}: {error}"
        for lie, error in zip(lies, met, strict=True)
        if error is not None
    ]
    names = ", ".join(one.name for one in lies)
    return found, said(partial((await beside.since(begun)).check, lies[0].pair, names))
