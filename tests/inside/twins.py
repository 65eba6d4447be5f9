"""Two processes that join the same rooms as one identity, at a word."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TypeAlias

from tests.inside.programs import Program
from utd_rx.engine import EngineOptions, LocalEngine

Outcome: TypeAlias = tuple[int, bool, list[str]]
"""The serial of a join, whether it stands, and what it was told of its end, each time."""


async def race(sfu: str) -> list[tuple[Outcome, Outcome]]:
    """Have two processes join the same rooms, and return how it went for both in each."""
    rooms = ("one", "two", "three")
    async with LocalEngine(EngineOptions(sfu=sfu)) as engine, AsyncExitStack() as stack:
        twins = [await Program.start_at(engine, "twin_program", *rooms) for _ in range(2)]
        for twin in twins:
            stack.push_async_callback(twin.kill)
            assert await twin.hear() == "ready"
        for twin in twins:
            await twin.say()
        async with asyncio.timeout(90):
            while True:
                ended = await outcomes(twins)
                if all(is_decided(*pair) for pair in ended):
                    break
                await asyncio.sleep(0.2)
        await asyncio.sleep(2)  # in which nobody comes back
        return await outcomes(twins)


async def outcomes(twins: Sequence[Program]) -> list[tuple[Outcome, Outcome]]:
    told = []
    for twin in twins:
        await twin.say()
        state = await twin.hear()
        told.append(list(zip(state["serials"], state["is_there"], state["ends"], strict=True)))
    return list(zip(*told, strict=True))


def is_decided(first: Outcome, second: Outcome) -> bool:
    """Whether one is in, and the other has been told."""
    return first[1] != second[1] and bool(first[2]) != bool(second[2])
