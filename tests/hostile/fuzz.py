"""Lies of every liar for as long as one wants: `make fuzz MINUTES=10`, `SEED=…` for other ones."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from tests.hostile import engine_fuzz, participant_fuzz, server_fuzz

FUZZERS: Final[dict[str, Callable[[Random, float], Awaitable[list[str]]]]] = {
    "engine": engine_fuzz.fuzz,
    "media server": server_fuzz.fuzz,
    "participant": participant_fuzz.fuzz,
}
"""Each is given a source of chance and seconds, and returns what was wrong, in words."""

SEED: Final = 17


async def lie(seconds: float, seed: int) -> list[str]:
    """Have each liar lie for its part of the time."""
    found = []
    for name, fuzz in FUZZERS.items():
        random = Random(f"{seed} {name}")
        found += [f"{name}: {one}" for one in await fuzz(random, seconds / len(FUZZERS))]
    return found


def main() -> None:
    """Lie, and exit with what was wrong."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=SEED)
    told = parser.parse_args()
    print(f"seed {told.seed}", flush=True)
    found = asyncio.run(lie(60 * told.minutes, told.seed))
    print("\n".join(found) or "nobody suffered")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
