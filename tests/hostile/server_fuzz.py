"""Lies of a media server by chance, each with a seed of its own, to clients in other processes."""

from __future__ import annotations

import time
from collections import Counter
from random import Random
from urllib.parse import quote

from tests.hostile.engine_fuzz import KEY, token
from tests.hostile.judging import MANY, Found, Judge, said
from tests.hostile.lies import Lie, liar
from tests.hostile.pair import pair
from tests.hostile.server_lies import Comes, Tell, by_chance
from tests.hostile.victim import victims
from utd_rx.models.secrets import printable
from utd_rx.testing.witness import Witness


async def fuzz(random: Random, seconds: float) -> list[str]:
    """Lie for so long, and return what was wrong, with the seeds that show it again.

    That native code aborts is no finding: who joins a media server trusts it (docs/security.md).
    Where it does is printed.
    """
    until = time.monotonic() + seconds
    aborted: Counter[str] = Counter()
    with Witness() as witness:
        async with (
            liar("tests.hostile.lying_server", kind="embedded", **KEY) as server,
            victims() as others,
            pair(server.ready["honest"], token) as beside,
        ):
            judge = Judge(witness, beside.settle, MANY)
            while time.monotonic() < until:
                lie = by_chance(random.randrange(2**32))
                url = f"{server.ready['lying']}/{quote(lie.name)}"

                async def tell(lie: Lie[Tell, Comes] = lie, url: str = url) -> Found:
                    begun = time.monotonic()
                    met = await others.meet(url, token("victim", lie.name))
                    wrong = []
                    if not met.is_alive and "panicked at" not in met.panic:
                        wrong.append(f"{lie.name}: {met.panic}")
                    elif not met.is_alive:
                        aborted[met.panic.rpartition("panicked at ")[2]] += 1
                    elif met.message != printable(met.message):
                        wrong.append(f"{lie.name}: {met.message!r}")
                    heard = await beside.since(begun)
                    return wrong, said(lambda: heard.check(lie.pair, lie.name))

                await judge.ask(tell)
    print(f"media server: {judge.asked} lies; native code aborted at {dict(aborted)}")
    return judge.found
